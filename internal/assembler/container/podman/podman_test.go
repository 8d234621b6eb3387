package podman_test

import (
	"io"
	"path/filepath"
	"testing"

	"github.com/nestos/nosa-actions/internal/assembler/container"
	"github.com/nestos/nosa-actions/internal/assembler/container/enginetest"
	"github.com/nestos/nosa-actions/internal/assembler/container/podman"
	"github.com/nestos/nosa-actions/internal/testkit"
	"github.com/nestos/nosa-actions/internal/tool"
)

func engine(root string, p enginetest.Programs) container.Engine {
	return &podman.Engine{Runner: tool.Host{}, Init: p.Init, Log: io.Discard, HTTP: true, Global: []string{
		"--root=" + filepath.Join(root, "graph"), "--runroot=" + filepath.Join(root, "run"), "--cgroup-manager=cgroupfs", "--storage-driver=overlay", "--runtime=runc",
	}}
}

func TestMain(m *testing.M) { enginetest.Main(m, engine) }

func TestConformance(t *testing.T) {
	testkit.NeedTool(t, "podman", "runc")
	enginetest.Conformance(t, engine)
}
