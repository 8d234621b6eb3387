package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/nestos/nosa-actions/internal/release"
	"github.com/nestos/nosa-actions/internal/release/publish/githubtest"
	"github.com/nestos/nosa-actions/internal/testkit"
)

// childPlan names the plan that a child process publishes, so that its memory can
// be measured without that of the server.
const childPlan, childAPI = "NOSA_TEST_PUBLISH_PLAN", "NOSA_TEST_PUBLISH_API"

func TestMain(m *testing.M) {
	if file := os.Getenv(childPlan); file != "" {
		if err := publishChild(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func publishChild(file string) error {
	var plan release.Plan
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &plan)
	}
	if err != nil {
		return err
	}
	p, err := newPublisher(nil, Config{BaseURL: os.Getenv(childAPI), Token: githubtest.Token}, plan, defaultTiming)
	if err == nil {
		_, err = p.publish(context.Background())
	}
	return err
}

// zerosPlan has n assets of size bytes, of which the disk has none.
func zerosPlan(t testing.TB, n int, size int64) release.Plan {
	t.Helper()
	file := filepath.Join(t.TempDir(), "zeros")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	require.NoError(t, os.Truncate(file, size))
	sum := sha256.New()
	_, err := io.CopyN(sum, zeros{}, size)
	require.NoError(t, err)
	plan := release.Plan{Owner: "nestos", Repo: "demo", Tag: "v1", Notes: "zeros"}
	for i := range n {
		plan.Assets = append(plan.Assets, release.Asset{Name: fmt.Sprintf("zeros-%d.img", i), Path: file, Size: size, SHA256: hex.EncodeToString(sum.Sum(nil))})
	}
	return plan
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// inChild publishes in a process of its own; it returns that one's peak memory.
func inChild(t testing.TB, s *githubtest.Server, plan release.Plan) (peak int64) {
	t.Helper()
	data, err := json.Marshal(plan)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "plan.json")
	require.NoError(t, os.WriteFile(file, data, 0o644))
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childPlan+"="+file, childAPI+"="+s.URL)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
}

func TestMemoryDoesNotGrowWithTheAssets(t *testing.T) {
	plan := zerosPlan(t, 6, 48<<20)
	s := githubtest.New(t, githubtest.Options{})
	peak := inChild(t, s, plan)
	requireOneZeros(t, s, plan)
	require.Less(t, peak, int64(128<<20))
	t.Logf("peak %d MiB", peak>>20)
}

func requireOneZeros(t testing.TB, s *githubtest.Server, plan release.Plan) {
	t.Helper()
	all := s.Releases()
	require.Len(t, all, 1)
	require.NoError(t, whole(plan, all[0]))
}

// BenchmarkEightAssets holds a whole release of 2 GiB, at 20 ms a call, against
// curl with as many uploads at once, and against the connection's own speed: bytes
// written to it that no file and no library stands behind.
func BenchmarkEightAssets(b *testing.B) {
	testkit.NeedTool(b, "curl")
	plan := zerosPlan(b, 8, 256<<20)
	serve := func() *githubtest.Server {
		return githubtest.New(b, githubtest.Options{Latency: 20 * time.Millisecond})
	}
	best := map[string]float64{}
	measure := func(name string, do func()) {
		begin := time.Now()
		do()
		if took := time.Since(begin).Seconds(); best[name] == 0 || took < best[name] {
			best[name] = took
		}
	}
	var peak int64
	var requests int
	for b.Loop() {
		ours, curls, wires := serve(), serve(), serve()
		measure("ours-s", func() { peak = max(peak, inChild(b, ours, plan)) })
		ours.Forget()
		measure("rerun-s", func() { inChild(b, ours, plan) })
		requests = len(ours.Calls())
		requireOneZeros(b, ours, plan)
		address := draftFor(b, curls)
		measure("curl-s", func() { curl(b, address, plan) })
		address = draftFor(b, wires)
		measure("wire-s", func() { wire(b, address, plan) })
	}
	for name, took := range best {
		b.ReportMetric(took, name)
	}
	b.Logf("2 GiB in 8 assets, 20 ms a call: %.2f x curl with five uploads at once (target 1), %.2f x the wire (target 1.2), %d MiB at most (target 128), %d requests when there is nothing to do (target 3)",
		best["ours-s"]/best["curl-s"], best["ours-s"]/best["wire-s"], peak>>20, requests)
}

// draftFor makes a draft by hand and returns its upload address.
func draftFor(b *testing.B, s *githubtest.Server) string {
	b.Helper()
	r := s.Add(githubtest.Release{Tag: "v1", Draft: true})
	return fmt.Sprintf("%s/api/uploads/repos/nestos/demo/releases/%d/assets?name=", s.URL, r.ID)
}

func curl(b *testing.B, address string, plan release.Plan) {
	b.Helper()
	args := []string{"--fail", "--silent", "--show-error", "--parallel", "--parallel-max", "5", "-X", "POST",
		"-H", "Authorization: Bearer " + githubtest.Token, "-H", "Content-Type: application/octet-stream"}
	for _, a := range plan.Assets {
		args = append(args, "--upload-file", a.Path, address+a.Name, "--output", "/dev/null")
	}
	out, err := exec.CommandContext(b.Context(), "curl", args...).CombinedOutput()
	require.NoError(b, err, string(out))
}

// wire writes requests to bare connections.
func wire(b *testing.B, address string, plan release.Plan) {
	b.Helper()
	host, path, _ := strings.Cut(strings.TrimPrefix(address, "http://"), "/")
	chunk := make([]byte, 256<<10)
	var group errgroup.Group
	group.SetLimit(5)
	for _, a := range plan.Assets {
		group.Go(func() error {
			conn, err := net.Dial("tcp", host)
			if err != nil {
				return err
			}
			defer conn.Close()
			fmt.Fprintf(conn, "POST /%s%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\nConnection: close\r\n\r\n",
				path, a.Name, host, githubtest.Token, a.Size)
			for left := a.Size; left > 0; left -= int64(len(chunk)) {
				if _, err := conn.Write(chunk[:min(left, int64(len(chunk)))]); err != nil {
					return err
				}
			}
			answer, err := io.ReadAll(conn)
			if err == nil && !strings.HasPrefix(string(answer), fmt.Sprintf("HTTP/1.1 %d", http.StatusCreated)) {
				err = fmt.Errorf("answer: %.200s", answer)
			}
			return err
		})
	}
	require.NoError(b, group.Wait())
}
