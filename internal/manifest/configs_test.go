package manifest_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/arch"
	"github.com/nestos/nosa-actions/internal/manifest"
)

// loadConfig flattens the treefile of a published config repository, kept
// beside the checkout where there is one.
func loadConfig(t *testing.T, name string, a arch.Arch) *manifest.Manifest {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "data", name, "manifest.yaml")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the published config repository is not here: %v", err)
	}
	m, err := manifest.Load(path, manifest.Options{Arch: a})
	require.NoError(t, err)
	require.Empty(t, m.Warnings)
	return m
}

// origins are the files of the inline scripts, each once, in order.
func origins(m *manifest.Manifest) []string {
	var files []string
	for _, s := range m.Postprocess {
		file := strings.TrimSuffix(filepath.Base(s.Pos.File), ".yaml")
		if len(files) == 0 || files[len(files)-1] != file {
			files = append(files, file)
		}
	}
	return files
}

func TestNestOSConfigFlattens(t *testing.T) {
	for a, packages := range map[arch.Arch]int{arch.X86_64: 115, arch.AArch64: 113} {
		m := loadConfig(t, "nestos-config", a)
		require.Equal(t, "nestos", m.Name())
		require.Equal(t, "NestOS stable", m.Rojig.Summary)
		require.Equal(t, "openEuler/"+a.RPM+"/nestos/stable", m.Ref)
		require.Equal(t, "24.03-LTS", m.Releasever)
		require.Equal(t, "24.03-LTS.<date:%Y%m%d>", m.AutomaticVersionPrefix)
		require.Equal(t, "24.03-LTS", m.MutateOSRelease)
		require.Equal(t, map[string]any{"nestos.stream": "stable"}, m.AddCommitMetadata)
		require.Equal(t, []string{"overlay/05core", "overlay/11install", "overlay/15nestos", "overlay/20platform-chrony"}, values(m.OSTreeLayers))
		require.Equal(t, []string{"bootupd", "system-configuration", "ignition-and-ostree", "nestos-base", "nestos"}, origins(m))
		require.Len(t, m.Packages, packages)
		require.Empty(t, m.Repos)
		require.Equal(t, []string{"nestos"}, values(m.LockfileRepos))
		require.Equal(t, []string{"wheel", "sudo", "systemd-journal", "adm", "docker"}, m.EtcGroupMembers)
		require.Equal(t, []string{"/usr/bin/bash"}, m.ContainerCmd)
		require.Equal(t, manifest.BootModules, m.BootLocation)
		require.False(t, m.Recommends || m.MachineIDCompat)
		require.True(t, m.TmpIsDir)
		require.Equal(t, manifest.CheckFile, m.CheckPasswd.Type)
		require.Equal(t, "group", filepath.Base(m.CheckGroups.File.Path))
	}
}

func TestFedoraCoreOSConfigFlattens(t *testing.T) {
	for a, packages := range map[arch.Arch]int{arch.X86_64: 146, arch.AArch64: 144} {
		m := loadConfig(t, "fedora-coreos-config", a)
		require.Equal(t, "fedora-coreos", m.Name())
		require.Equal(t, "fedora/"+a.RPM+"/coreos/testing-devel", m.Ref)
		require.Equal(t, "40.<date:%Y%m%d>.dev", m.AutomaticVersionPrefix)
		require.Equal(t, []string{"fedora", "fedora-updates"}, values(m.Repos))
		require.Len(t, m.Packages, packages)
		require.Equal(t, "overlay/16disable-zincati", m.OSTreeLayers[0].Value, "of the condition prod == false, included last")
		require.Equal(t, "overlay/15fcos", m.OSTreeLayers[len(m.OSTreeLayers)-1].Value)
		require.Contains(t, names(m.ExcludePackages), "dnf", "of the condition releasever < 41")
		digest, err := m.Digest()
		require.NoError(t, err)
		again, err := loadConfig(t, "fedora-coreos-config", a).Digest()
		require.NoError(t, err)
		require.Equal(t, digest, again)

		data, err := m.JSON()
		require.NoError(t, err)
		var flat map[string]any
		require.NoError(t, json.Unmarshal(data, &flat))
		require.Equal(t, a.RPM, flat["basearch"])
		require.NotContains(t, flat, "variables")
		require.NotContains(t, flat, "conditional-include")
		require.EqualValues(t, 40, flat["releasever"], "a number stays one")
	}
}
