package machine

import (
	"crypto/ed25519"
	"crypto/rand"
	"strings"

	"golang.org/x/crypto/ssh"
)

// journalPort is the virtio port that carries the journal.
const journalPort = "mantlejournal"

// newKey makes the key pair of one guest: the signer and the line for
// authorized_keys.
func newKey() (ssh.Signer, string, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, "", err
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, "", err
	}
	return signer, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))), nil
}

// fragment is what lets us in and shows us what goes on. The first config that
// is merged, it gives way to what the user's configs say.
func (o Options) fragment(authorizedKey string) Fragment {
	f := Fragment{
		Users: []Login{{Name: User, SSHKeys: []string{authorizedKey}}},
		Files: []File{{
			Path: "/etc/sudoers.d/90-" + User, Mode: 0o440,
			Content: []byte(User + " ALL=(ALL) NOPASSWD: ALL\n"),
		}},
	}
	if o.Hostname != "" {
		f.Files = append(f.Files, File{Path: "/etc/hostname", Mode: 0o644, Content: []byte(o.Hostname + "\n")})
	}
	if o.Autologin {
		for _, getty := range []string{"getty@.service", "serial-getty@.service"} {
			f.Units = append(f.Units, Unit{Name: getty, Dropin: "10-autologin.conf", Content: autologin})
		}
	}
	for i, b := range o.Binds {
		f.Units = append(f.Units, b.unit(i))
	}
	for _, name := range o.DebugUnits {
		f.Units = append(f.Units, Unit{Name: name, Dropin: "10-debug.conf", Content: "[Service]\nEnvironment=SYSTEMD_LOG_LEVEL=debug\n"})
	}
	if o.JournalFile != "" {
		f.Units = append(f.Units, Unit{Name: "mantle-virtio-journal-stream.service", Enabled: true, Content: journalStream})
	}
	return f
}

const autologin = `[Service]
ExecStart=
ExecStart=-/sbin/agetty --autologin ` + User + ` --noclear --keep-baud 115200,57600,38400,9600 %I $TERM
TTYVTDisallocate=no
`

const journalStream = `[Unit]
Description=Stream the journal to the host
Requires=dev-virtio\x2dports-` + journalPort + `.device
IgnoreOnIsolate=true
After=dev-virtio\x2dports-` + journalPort + `.device

[Service]
Type=simple
StandardOutput=file:/dev/virtio-ports/` + journalPort + `
ExecStart=/usr/bin/journalctl -q -b -f --no-tail -o json

[Install]
WantedBy=multi-user.target
`
