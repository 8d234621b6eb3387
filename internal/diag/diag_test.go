package diag

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFindingsArePrintedInOrderOfPlace(t *testing.T) {
	var list List
	require.NoError(t, list.Err())
	list.Warnf(Pos{File: "b.yaml", Line: 2}, "odd")
	require.NoError(t, list.Err(), "a warning stops nothing")
	list.Addf(Pos{File: "b.yaml", Line: 10, Column: 3}, "ten")
	list.Add(Finding{Pos: Pos{File: "b.yaml", Line: 9, Column: 3}, Message: "nine", Mend: "write ten"})
	list.Addf(Pos{File: "a.yaml"}, "whole file")
	err := list.Err()
	require.EqualError(t, err, `a.yaml: whole file
b.yaml:2: warning: odd
b.yaml:9:3: nine; write ten
b.yaml:10:3: ten`)
	require.Len(t, Findings(fmt.Errorf("read config: %w", err)), 4)
	require.Nil(t, Findings(fmt.Errorf("other")))
}
