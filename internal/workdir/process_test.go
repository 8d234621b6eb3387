package workdir

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/tool"
)

// roles are what the test binary does when a test starts it again as another
// process, with the words of WORKDIR_TEST_ROLE.
var roles = map[string]func(d *Dir, args []string) error{
	// merge ARTIFACT...: enters artifacts into build 1, one merge each.
	"merge": func(d *Dir, args []string) error {
		b, err := d.Build("1")
		if err != nil {
			return err
		}
		for _, name := range args {
			m, err := b.Meta()
			if err != nil {
				return err
			}
			m.SetImage(name, Image{Path: name, SHA256: strings.Repeat("0", 64)})
			if err := b.Merge(name, m); err != nil {
				return err
			}
		}
		return nil
	},
	// publish TMPBUILD ID: publishes.
	"publish": func(d *Dir, args []string) error {
		_, err := d.Publish(args[0], args[1])
		return err
	},
	// die TMPBUILD ID STEPS: is killed within a publication.
	"die": func(d *Dir, args []string) error {
		var steps int
		if _, err := fmt.Sscan(args[2], &steps); err != nil {
			return err
		}
		if _, err := lock(d.indexPath()); err != nil {
			return err
		}
		for _, step := range d.publishSteps(args[0], d.build(args[1], d.Arch))[:steps] {
			if err := step(); err != nil {
				return err
			}
		}
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	},
	// tag NAME...: sets tags.
	"tag": func(d *Dir, args []string) error {
		for _, name := range args {
			err := d.UpdateIndex(func(x *Index) error {
				x.Tags = append(x.Tags, Tag{Name: name, Created: Timestamp(noon), Target: "1"})
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	},
	// hold READY: claims qemu of build 1 and tmp/build and waits for its end.
	"hold": func(d *Dir, args []string) error {
		if _, err := must(d.Build("1")).Claim("qemu"); err != nil {
			return err
		}
		if _, err := d.BeginBuild(""); err != nil {
			return err
		}
		if err := os.WriteFile(args[0], nil, 0o644); err != nil {
			return err
		}
		time.Sleep(time.Minute)
		return nil
	},
}

func TestMain(m *testing.M) {
	words := strings.Split(os.Getenv("WORKDIR_TEST_ROLE"), "\n")
	role, ok := roles[words[0]]
	if !ok {
		os.Exit(m.Run())
	}
	d, err := Open(words[1], arch.X86_64)
	if err == nil {
		err = role(d, words[2:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// play starts another process in a role.
func play(t testing.TB, d *Dir, role string, args ...string) tool.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	words := append([]string{role, d.Path}, args...)
	return tool.Cmd{Name: self, Env: []string{"WORKDIR_TEST_ROLE=" + strings.Join(words, "\n")}}
}

func TestManyProcessesWriteTheRecords(t *testing.T) {
	t.Parallel()
	d := newDir(t)
	b := published(t, d, "1")
	work := []tool.Cmd{
		play(t, d, "merge", "qemu", "metal", "metal4k", "aws", "azure"),
		play(t, d, "merge", "openstack", "gcp", "vmware", "kubevirt", "nutanix"),
		play(t, d, "tag", "a", "b", "c", "d", "e", "f"),
		play(t, d, "tag", "g", "h", "i", "j", "k", "l"),
		play(t, d, "publish", finished(t, d, "2"), "2"),
		play(t, d, "publish", finished(t, d, "3"), "3"),
	}
	var group errgroup.Group
	for _, cmd := range work {
		group.Go(func() error {
			_, err := tool.Host{}.Run(t.Context(), cmd)
			return err
		})
	}
	require.NoError(t, group.Wait())

	require.Len(t, must(b.Meta()).Images, 11)
	index := must(d.Index())
	require.Len(t, index.Tags, 12)
	require.ElementsMatch(t, []string{"1", "2", "3"}, ids(t, d))
	require.Equal(t, "1", index.Builds[2].ID)
	link, err := os.Readlink(filepath.Join(d.BuildsDir(), "latest"))
	require.NoError(t, err)
	require.Equal(t, index.Builds[0].ID, link)
}

func TestManyGoroutinesWriteTheRecords(t *testing.T) {
	t.Parallel()
	d := newDir(t)
	b := published(t, d, "1")
	var group errgroup.Group
	kinds := imageKinds
	for _, kind := range kinds {
		group.Go(func() error { return roles["merge"](d, []string{kind.Name}) })
		group.Go(func() error { return roles["tag"](d, []string{kind.Name}) })
		group.Go(func() error { _, err := d.Prune(PruneOptions{}); return err })
	}
	require.NoError(t, group.Wait())
	require.Len(t, must(b.Meta()).Images, len(kinds))
	require.Len(t, must(d.Index()).Tags, len(kinds))
}

func TestAKilledPublicationIsSettledByTheNextProcess(t *testing.T) {
	t.Parallel()
	for steps := range 7 {
		t.Run(fmt.Sprint(steps), func(t *testing.T) {
			t.Parallel()
			d := newDir(t)
			tmp := finished(t, d, "1")
			_, err := tool.Host{}.Run(t.Context(), play(t, d, "die", tmp, "1", fmt.Sprint(steps)))
			require.ErrorContains(t, err, "killed")

			again, err := Open(d.Path, d.Arch)
			require.NoError(t, err)
			requireSound(t, again)

			if _, err := os.Stat(tmp); err == nil {
				_, err := tool.Host{}.Run(t.Context(), play(t, d, "publish", tmp, "1"))
				require.NoError(t, err)
			}
			require.Equal(t, []string{"1"}, ids(t, again))
			requireSound(t, again)
		})
	}
}

func TestClaimsDieWithTheirProcess(t *testing.T) {
	t.Parallel()
	d := newDir(t)
	b := published(t, d, "1")
	ready := filepath.Join(t.TempDir(), "ready")
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	p, err := tool.Host{}.Start(ctx, play(t, d, "hold", ready))
	require.NoError(t, err)
	require.Eventually(t, func() bool { _, err := os.Stat(ready); return err == nil }, 10*time.Second, 10*time.Millisecond)

	_, err = b.Claim("qemu")
	require.ErrorIs(t, err, errClaimed)
	require.EqualError(t, err, fmt.Sprintf("qemu of build 1: another process is building it (process %d)", p.Pid()))
	_, err = d.BeginBuild("")
	require.ErrorIs(t, err, errHeld)
	release, err := b.Claim("metal")
	require.NoError(t, err)
	release()

	require.NoError(t, p.Signal(syscall.SIGKILL))
	require.Error(t, p.Wait())
	require.FileExists(t, b.Path(".qemu.building"))
	release, err = b.Claim("qemu")
	require.NoError(t, err)
	release()
	require.NoFileExists(t, b.Path(".qemu.building"))
	_, err = d.BeginBuild("")
	require.NoError(t, err)
}

func TestOnlyOneClaims(t *testing.T) {
	t.Parallel()
	b := published(t, newDir(t), "1")
	var group errgroup.Group
	inside := make(chan struct{}, 1)
	for range 4 {
		group.Go(func() error {
			for done := 0; done < 25; {
				release, err := b.Claim("qemu")
				if err != nil {
					runtime.Gosched()
					continue
				}
				select {
				case inside <- struct{}{}:
				default:
					return fmt.Errorf("two hold the claim")
				}
				time.Sleep(200 * time.Microsecond)
				<-inside
				release()
				done++
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
}
