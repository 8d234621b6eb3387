package ostree

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/nestos/nosa-actions/internal/tool"
)

// checkLabels makes sure that every path of a labelled commit has a label: on a
// system that enforces its policy nobody may touch a file without.
func (r *Repo) checkLabels(ctx context.Context, commit string) error {
	out, err := r.Run.Run(ctx, tool.Cmd{Name: "ostree", Args: []string{"ls", "--repo=" + r.Path, "-R", "-X", commit}})
	if err != nil {
		return err
	}
	var bare []string
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		// MODE UID GID SIZE { [(b'NAME', b'VALUE'), ...] } PATH
		attributes, path, _ := strings.Cut(lines.Text(), " } ")
		if !strings.Contains(attributes, "(b'security.selinux', ") {
			bare = append(bare, path)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if len(bare) == 0 {
		return nil
	}
	return fmt.Errorf("the SELinux policy has no label for %s (%d paths in all)", bare[0], len(bare))
}
