package progress

import (
	"bytes"
	"fmt"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestALogHasALineForBeginAndEnd(t *testing.T) {
	var out bytes.Buffer
	log := New(&out)
	step := log.Step("unpack %d packages", 3)
	log.Notef("between")
	fmt.Fprint(log.Writer(), "one\ntwo\nunfinished")
	step.Done("%s", "12 MB")
	step.Stop() // has ended: says nothing
	log.Step("next").Stop()

	text := regexp.MustCompile(`\d+\.\ds`).ReplaceAllString(out.String(), "N")
	require.Equal(t, `unpack 3 packages ...
between
one
two
     N  unpack 3 packages: 12 MB
next ...
     N  next: failed
`, regexp.MustCompile(` +N`).ReplaceAllString(text, "     N"))
}

func TestANilLogIsSilent(*testing.T) {
	var log *Log
	log.Notef("nothing")
	step := log.Step("nothing")
	step.Done("")
	step.Stop()
	fmt.Fprintln(log.Writer(), "nothing")
}
