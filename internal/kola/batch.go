package kola

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/machine"
)

// answer is what one command of a batch left.
type answer struct {
	machine.Output
	took time.Duration
}

// batchScript runs each argument as a command line and prints, each ended by a
// NUL: seconds taken, exit status, standard output, standard error.
const batchScript = `e=$(mktemp)
one() {
  local begin=$EPOCHREALTIME out status
  out=$(eval "$1" 2>"$e" </dev/null)
  status=$?
  printf '%s %s\0%d\0%s\0%s\0' "$begin" "$EPOCHREALTIME" "$status" "$out" "$(cat "$e")"
}
`

// batch runs command lines one after the other over one session, because to open
// a session takes a guest under emulation about a second. When it is cut short
// it returns the answers so far.
func batch(ctx context.Context, s *machine.SSH, commands ...string) ([]answer, error) {
	var script strings.Builder
	script.WriteString(batchScript)
	for _, c := range commands {
		fmt.Fprintf(&script, "one %s\n", quote(c))
	}
	script.WriteString("rm -f \"$e\"\n")
	var stdout, stderr bytes.Buffer
	_, err := s.Stream(ctx, "bash -s", strings.NewReader(script.String()), &stdout, &stderr)
	answers, parseErr := parseBatch(stdout.Bytes())
	switch {
	case err != nil:
	case parseErr != nil:
		err = parseErr
	case len(answers) != len(commands):
		err = fmt.Errorf("%d of %d commands answered: %s", len(answers), len(commands), strings.TrimSpace(stderr.String()))
	}
	return answers, err
}

// parseBatch reads what batchScript prints; an answer that is not whole is left
// out.
func parseBatch(text []byte) ([]answer, error) {
	fields := bytes.Split(text, []byte{0})
	var out []answer
	for ; len(fields) > 4; fields = fields[4:] {
		begin, end, _ := strings.Cut(string(fields[0]), " ")
		from, err1 := strconv.ParseFloat(begin, 64)
		to, err2 := strconv.ParseFloat(end, 64)
		status, err3 := strconv.Atoi(string(fields[1]))
		if err1 != nil || err2 != nil || err3 != nil {
			return out, fmt.Errorf("the guest answers %.80q", fields[0])
		}
		out = append(out, answer{
			Output: machine.Output{Status: status, Stdout: bytes.Clone(fields[2]), Stderr: bytes.Clone(fields[3])},
			took:   time.Duration((to - from) * float64(time.Second)),
		})
	}
	return out, nil
}
