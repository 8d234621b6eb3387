package buildah

import (
	"errors"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestos/nosa-actions/internal/tool"
)

func TestAMachineWithoutNamespacesIsExplained(t *testing.T) {
	for _, cause := range []error{syscall.EPERM, syscall.ENOSPC} {
		err := explain(&tool.Error{Cmd: tool.Cmd{Name: "env"}, Err: cause})
		require.ErrorContains(t, err, "gives us no PID and mount namespaces of our own")
		require.ErrorContains(t, err, "start that one with --privileged, or run stages with assembler: host")
		require.ErrorIs(t, err, cause)
	}
	other := errors.New("other")
	require.Equal(t, other, explain(other))
	require.NoError(t, explain(nil))
}

func TestTheProgramGetsNoSecrets(t *testing.T) {
	got := environment([]string{"PATH=/bin", "GITHUB_TOKEN=x", "ACTIONS_RUNTIME_TOKEN=x", "INPUT_A=x", "DOCKER_CONFIG=/d", "NOSA_REGISTRY_PASSWORD=x", "HTTPS_PROXY=p"})
	require.Equal(t, []string{"PATH=/bin", "DOCKER_CONFIG=/d", "HTTPS_PROXY=p", "LC_ALL=C.UTF-8"}, got)
}
