package manifest

import (
	"cmp"
	"fmt"
	"math/big"
	"regexp"
	"slices"

	"github.com/nestos/nosa-actions/internal/format/document"
)

// conditional returns what the entries whose conditions hold include: names of
// files, lists of them, or inline treefiles.
func (l *loader) conditional(n document.Node) []document.Node {
	if n.Kind == document.Null || !n.Expect(&l.found, document.List) {
		return nil
	}
	var matching []document.Node
	for _, entry := range n.Items {
		if !entry.KnownKeys(&l.found, "if", "include") {
			continue
		}
		condition, hasIf := entry.Get("if")
		include, hasInclude := entry.Get("include")
		if !hasIf || !hasInclude {
			entry.Reject(&l.found, "must have both if and include", "")
			continue
		}
		if !include.Expect(&l.found, document.String, document.List, document.Map) {
			continue
		}
		if l.holds(condition) {
			matching = append(matching, include)
		}
	}
	return matching
}

// holds evaluates one condition or a list that must hold as a whole. All of a
// list are evaluated, so that a mistake in any of them is found.
func (l *loader) holds(n document.Node) bool {
	if !n.Expect(&l.found, document.String, document.List) {
		return false
	}
	if n.Kind == document.String {
		n.Items = []document.Node{n}
	}
	all := true
	for _, item := range n.Items {
		text, ok := item.AsString(&l.found)
		if !ok {
			all = false
			continue
		}
		value, err := l.evaluate(text)
		if err != nil {
			item.Reject(&l.found, err.Error(), "")
		}
		all = all && value
	}
	return all
}

// conditionForm is as greedy with the operator as rpm-ostree, which therefore
// needs blanks before a number: of x<41 it takes <4 for the operator.
var conditionForm = regexp.MustCompile(`^\s*([0-9A-Za-z_]+)\s*(\S+)\s*(true|false|[0-9]+|"[^"]*")\s*$`)

var operators = []string{"==", "!=", "<", "<=", ">", ">="}

func (l *loader) evaluate(text string) (bool, error) {
	m := conditionForm.FindStringSubmatch(text)
	if m == nil {
		return false, fmt.Errorf("%q is not a condition of the form NAME OP VALUE, where VALUE is true, false, a number or a string in double quotes", text)
	}
	name, op, value := m[1], m[2], literal(m[3])
	if !slices.Contains(operators, op) {
		return false, fmt.Errorf("condition %q: %q is not an operator; use ==, !=, <, <=, > or >= with blanks around it", text, op)
	}
	variable, ok := l.vars[name]
	if !ok {
		return false, fmt.Errorf("condition %q: variable %q is not defined here", text, name)
	}
	if variable.Kind != value.Kind {
		return false, fmt.Errorf("condition %q: %s is %s and cannot be compared with %s", text, name, variable.Describe(), value.Describe())
	}
	if value.Kind != document.Int && op != "==" && op != "!=" {
		return false, fmt.Errorf("condition %q: %s orders numbers only, and %s is %s", text, op, name, variable.Describe())
	}
	return compare(variable, op, value), nil
}

// literal reads the right side of a condition that conditionForm accepted.
func literal(text string) document.Node {
	switch {
	case text == "true" || text == "false":
		return document.Node{Kind: document.Bool, Text: text}
	case text[0] == '"':
		return document.Node{Kind: document.String, Text: text[1 : len(text)-1]}
	default:
		return document.Node{Kind: document.Int, Text: text}
	}
}

func compare(a document.Node, op string, b document.Node) bool {
	order := cmp.Compare(a.Text, b.Text)
	if a.Kind == document.Int {
		order = bigInt(a.Text).Cmp(bigInt(b.Text))
	}
	switch op {
	case "==":
		return order == 0
	case "!=":
		return order != 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	default:
		return order >= 0
	}
}

// bigInt spares the conditions a range of their own.
func bigInt(text string) *big.Int {
	i, _ := new(big.Int).SetString(text, 10)
	if i == nil {
		return new(big.Int)
	}
	return i
}
