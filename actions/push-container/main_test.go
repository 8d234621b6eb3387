package main

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/action"
	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/testkit/actiontest"
	"github.com/nestos/nosa-actions/internal/workdir"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"push-container": main}) }

// client is the key of each script's client of its registry.
type client struct{}

// The token that the registry takes, which must be seen nowhere.
const token = "canary-registry-token"

// The stage is the real one, and so is the registry's protocol.
func TestScripts(t *testing.T) {
	self, err := exec.LookPath("push-container")
	require.NoError(t, err)
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(filepath.Dir(self), "nosa"), "../../cmd/nosa")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	actiontest.Scripts(t, func(p *testscript.Params) {
		setup := p.Setup
		p.Setup = func(env *testscript.Env) error {
			inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if user, password, _ := r.BasicAuth(); user != "somebody" || password != token {
					w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
					http.Error(w, `{"errors":[{"code":"UNAUTHORIZED"}]}`, http.StatusUnauthorized)
					return
				}
				inner.ServeHTTP(w, r)
			}))
			env.Defer(server.Close)
			if err := setup(env); err != nil {
				return err
			}
			cert := filepath.Join(env.WorkDir, "registry.pem")
			data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
			if err := os.WriteFile(cert, data, 0o644); err != nil {
				return err
			}
			env.Values[client{}] = server.Client()
			env.Setenv("SSL_CERT_FILE", cert)
			env.Setenv("REGISTRY", strings.TrimPrefix(server.URL, "https://"))
			env.Setenv("NOSA_INPUT_USERNAME", "somebody")
			env.Setenv("NOSA_INPUT_PASSWORD", token)
			env.Setenv("GITHUB_REPOSITORY", "NestOS/Demo")
			return nil
		}
		p.Cmds["build"], p.Cmds["manifest"] = makeBuild, manifest
	})
}

func TestInputsAgreeWithActionYML(t *testing.T) {
	actiontest.InputsAgree(t, func(s *action.Step) error { return run(t.Context(), s) })
}

// makeBuild is the script command "build DIR ARCH ID": a build whose OCI archive has
// one layer.
func makeBuild(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: build DIR ARCH ID")
	}
	a, err := arch.Parse(args[1])
	ts.Check(err)
	ts.Check(os.MkdirAll(ts.MkAbs(args[0]), 0o755))
	d, err := workdir.Create(ts.MkAbs(args[0]), a)
	ts.Check(err)
	tmp, err := d.BeginBuild("")
	ts.Check(err)
	m := &workdir.Meta{
		BuildID: args[2], Name: "mini", OSTreeVersion: args[2], OSTreeTimestamp: "2025-01-14T08:00:00Z", Basearch: a.RPM,
		OSTreeCommit: strings.Repeat("6d", 32), OSTreeContentChecksum: strings.Repeat("a1", 32), InputHash: strings.Repeat("77", 32),
	}
	archive := filepath.Join(tmp, "mini-"+args[2]+"-ostree."+a.RPM+".ociarchive")
	ts.Check(os.WriteFile(archive, ociArchive(a, m.OSTreeCommit), 0o644))
	image, err := workdir.DescribeImage(archive)
	ts.Check(err)
	m.SetImage("ostree", image)
	ts.Check(workdir.WriteMeta(tmp, m))
	_, err = d.Publish(tmp, args[2])
	ts.Check(err)
}

func ociArchive(a arch.Arch, commit string) []byte {
	var buf strings.Builder
	t := tar.NewWriter(&buf)
	add := func(name string, data []byte) {
		_ = t.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(data))})
		_, _ = t.Write(data)
	}
	blob := func(kind string, data []byte) map[string]any {
		sum := fmt.Sprintf("%x", sha256.Sum256(data))
		add("blobs/sha256/"+sum, data)
		return map[string]any{"mediaType": "application/vnd.oci.image." + kind, "digest": "sha256:" + sum, "size": len(data)}
	}
	text := func(v any) []byte { data, _ := json.Marshal(v); return data }
	layer := []byte("the layer of " + a.RPM)
	config := text(map[string]any{
		"architecture": a.OCI, "os": "linux", "config": map[string]any{"Labels": map[string]string{"ostree.commit": commit}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
	})
	image := text(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": blob("config.v1+json", config), "layers": []any{blob("layer.v1.tar", layer)},
	})
	add("index.json", text(map[string]any{"schemaVersion": 2, "manifests": []any{blob("manifest.v1+json", image)}}))
	add("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	_ = t.Close()
	return []byte(buf.String())
}

// manifest is the script command "manifest NAME TAG FILE": what the registry has.
func manifest(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: manifest NAME TAG FILE")
	}
	req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("https://%s/v2/%s/manifests/%s", ts.Getenv("REGISTRY"), args[0], args[1]), nil)
	ts.Check(err)
	req.SetBasicAuth("somebody", token)
	resp, err := ts.Value(client{}).(*http.Client).Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), fmt.Appendf(data, "\nstatus %d\n", resp.StatusCode), 0o644))
}
