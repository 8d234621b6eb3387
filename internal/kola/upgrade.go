package kola

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/machine"
	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/tool"
)

// Upgrade says what a guest is updated to, while it runs.
type Upgrade struct {
	Repo string // repository in archive mode that holds the new commit
	Ref  string // that names it there
	To   string // the new commit
	// From is the commit of the image that the guest starts from.
	From string
	// Cuts is how often the power is cut in the middle of the update.
	Cuts int
	Seed uint64 // of the moments
	// Runner and Log are for the guests of the power cuts.
	Runner tool.Runner
	Log    *progress.Log
}

// UpgradeName is the test's name.
const UpgradeName = "nestos.upgrade"

// upgradeMinutes is how long the test may take under KVM, and each power cut.
const (
	upgradeMinutes = 20
	cutMinutes     = 6
)

// Case is the test: the image of the old build starts, is updated in place over
// HTTP, comes up with the new commit and all that was in /var and /etc, goes
// back to the old one, and comes up again.
func (u Upgrade) Case() Case {
	return Case{
		Name: UpgradeName,
		Meta: Meta{
			Tags: []string{"upgrade"}, TimeoutMin: upgradeMinutes + u.Cuts*cutMinutes,
			Description: "the build before is updated in place, and goes back",
		},
		native: u.run,
	}
}

// native is a built-in test that drives its guest itself.
type native func(ctx context.Context, t *trial, run *session) ([]Result, error)

// upgrade is one run of the test.
type upgrade struct {
	Upgrade
	trial   *trial
	session *session
	server  *server
	results []Result
	changed string // file of /etc that was changed
	took    time.Duration
	saved   machine.Saved
}

func (u Upgrade) run(ctx context.Context, t *trial, s *session) ([]Result, error) {
	server, err := serve(u.Repo)
	if err != nil {
		return nil, err
	}
	defer server.Close()
	r := &upgrade{Upgrade: u, trial: t, session: s, server: server}
	steps := []struct {
		name string
		do   func(context.Context) (string, error)
	}{
		{"booted-old", func(ctx context.Context) (string, error) { return r.booted(ctx, u.From) }},
		{"prepared", r.prepare},
		{"deployed", r.deploy},
		{"download", r.measured},
		{"booted-new", func(ctx context.Context) (string, error) { return r.reboot(ctx, u.To) }},
		{"kept", r.kept},
		{"rolled-back", r.rollBack},
		{"booted-old-again", func(ctx context.Context) (string, error) { return r.reboot(ctx, r.From) }},
		{"kept-again", r.kept},
	}
	if u.Cuts > 0 {
		steps = append(steps, struct {
			name string
			do   func(context.Context) (string, error)
		}{"power-cuts", r.powerCuts})
	}
	for _, step := range steps {
		begin := time.Now()
		text, err := step.do(ctx)
		res := Result{Name: UpgradeName + "/" + step.name, Verdict: Pass, Duration: time.Since(begin), Output: text}
		if err != nil {
			res.Verdict, res.Output = Fail, strings.TrimSpace(text+"\n"+err.Error())
			r.results = append(r.results, res)
			if ctx.Err() != nil || step.name != "download" { // what follows needs what failed
				return r.results, fmt.Errorf("%s: %w", step.name, err)
			}
			continue
		}
		r.results = append(r.results, res)
	}
	return r.results, nil
}

func (r *upgrade) do(ctx context.Context, script string) (string, error) {
	return asRoot(ctx, r.session.ssh, script)
}

// asRoot runs a script as root and returns what it prints; to fail is an error.
func asRoot(ctx context.Context, s *machine.SSH, script string) (string, error) {
	out, err := s.Run(ctx, "sudo bash -s", strings.NewReader("set -eu\n"+script))
	if err == nil && out.Status != 0 {
		err = fmt.Errorf("exit status %d: %s", out.Status, strings.TrimSpace(string(out.Stderr)))
	}
	return strings.TrimSpace(string(out.Stdout)), err
}

// booted checks which commit runs and that all of it does.
func (r *upgrade) booted(ctx context.Context, commit string) (string, error) {
	answers, err := batch(ctx, r.session.ssh, deployment)
	if err != nil {
		return "", err
	}
	if err := judgeCommit(Expect{Commit: commit}, answers[0].Output); err != nil {
		return "", err
	}
	if r.From == "" { // of an image without a build
		r.From = runningCommit(answers[0])
	}
	return "", nil
}

// runningCommit is the commit that an answer to deployment names, or "".
func runningCommit(a answer) string {
	first, _, _ := strings.Cut(strings.TrimSpace(string(a.Stdout)), "\n")
	if m := deployed.FindStringSubmatch(first); m != nil {
		return m[2]
	}
	return ""
}

// prepare leaves traces in /var and /etc, makes the repository known, and saves
// the guest for power cuts.
func (r *upgrade) prepare(ctx context.Context) (string, error) {
	changed, err := r.do(ctx, `
echo "written before the update" > /var/nosa-upgrade
echo "written before the update" > /etc/nosa-upgrade
ostree remote add --if-not-exists --no-gpg-verify nosa-upgrade `+quote(r.server.URL)+` >&2
for f in profile issue login.defs services hosts; do
  if [ -f "/usr/etc/$f" ] && [ -f "/etc/$f" ]; then
    echo "# changed before the update" >> "/etc/$f"
    echo "$f"
    break
  fi
done
sync
`)
	if err != nil {
		return "", err
	}
	r.changed = changed
	if r.Cuts == 0 {
		return "", nil
	}
	r.saved, err = r.session.guest.Save(ctx, r.Runner, r.savedPath())
	return "", err
}

// upgradeScript fetches and deploys the new commit, as the tree's own tools do.
func (r *upgrade) upgradeScript() string {
	ref := quote(r.Ref)
	return `if command -v rpm-ostree >/dev/null; then
  rpm-ostree rebase nosa-upgrade:` + ref + ` >&2
else
  # The physical root is read-only for all but this.
  unshare -m sh -c 'mount -o remount,rw /sysroot; exec ostree pull nosa-upgrade "$1"' sh ` + ref + ` >&2
  ostree admin deploy nosa-upgrade:` + ref + ` >&2
fi
`
}

func (r *upgrade) deploy(ctx context.Context) (string, error) {
	d, err := Predict(r.Repo, r.Ref, r.From, r.To)
	if err != nil {
		return "", err
	}
	before, begin := r.server.sent.Load(), time.Now()
	if _, err := r.do(ctx, r.upgradeScript()); err != nil {
		return "", err
	}
	r.took = time.Since(begin)
	d.Measured = r.server.sent.Load() - before
	r.trial.download = &d
	return "", nil
}

// measured tells what the update took, and holds it against what was predicted.
func (r *upgrade) measured(context.Context) (string, error) {
	return r.trial.download.String(), r.trial.download.check()
}

// reboot restarts the guest and waits for its start-up to end.
func (r *upgrade) reboot(ctx context.Context, commit string) (string, error) {
	if err := r.session.cycle(ctx, "sudo systemctl reboot"); err != nil {
		return "", err
	}
	units, err := waitForStartup(ctx, r.session.ssh)
	if err != nil {
		return "", err
	}
	if err := units.complain(ctx, r.session.ssh, stuckTime); err != nil {
		return "", err
	}
	return r.booted(ctx, commit)
}

// kept checks that what the owner wrote is there.
func (r *upgrade) kept(ctx context.Context) (string, error) {
	said, err := r.do(ctx, `
for f in /var/nosa-upgrade /etc/nosa-upgrade; do
  [ "$(cat "$f" 2>/dev/null)" = "written before the update" ] || echo "$f is gone"
done
changed=`+quote(r.changed)+`
[ -z "$changed" ] || grep -q "^# changed before the update" "/etc/$changed" || echo "the change of /etc/$changed is gone"
`)
	if err == nil && said != "" {
		err = errors.New(said)
	}
	return "", err
}

// rollBack makes the old deployment the next to start: by the tree's own tools,
// or where they cannot, as a person does who chooses it in the boot menu.
func (r *upgrade) rollBack(ctx context.Context) (string, error) {
	return r.do(ctx, `
if command -v rpm-ostree >/dev/null; then
  rpm-ostree rollback >&2
  echo "by rpm-ostree"
elif ostree admin --help 2>&1 | grep -q " set-default "; then # the subcommand's own help exists anyhow
  ostree admin set-default 1 >&2
  echo "by ostree"
else
  unshare -m sh -c 'mount -o remount,rw /boot 2>/dev/null; echo "set default=1" > /boot/grub2/user.cfg'
  echo "by the boot menu"
fi
`)
}
