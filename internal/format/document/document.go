// Package document reads YAML and JSON into nodes that know their place in the
// file, so that whoever interprets them can say about each value where it
// stands. It knows no schema: which keys exist and what they mean is for its
// callers.
//
// The nodes are ours rather than yaml.v3's, since both syntaxes end in the same
// ones, aliases are already followed, and their number is limited.
package document

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nestos/nosa-actions/internal/diag"
)

// MaxSize is the largest file that is read, in bytes.
const MaxSize = 16 << 20

// Limits on what aliases and nesting may make of a file.
const (
	maxNodes = 1 << 18
	maxDepth = 100
)

// Kind is the type of a value.
type Kind int

// The kinds of values, those of JSON with integers told from other numbers.
const (
	Null Kind = iota
	Bool
	Int
	Float
	String
	List
	Map
)

// String names the kind the way a message does: "a list".
func (k Kind) String() string {
	return [...]string{"nothing", "a boolean", "an integer", "a number", "a string", "a list", "a mapping"}[k]
}

// Node is one value. The zero Node is a null without a place.
type Node struct {
	Pos    diag.Pos
	Path   string // keys that lead to the value: check-passwd.filename, units[2]
	Kind   Kind
	Text   string  // of a scalar, as written but unquoted
	Items  []Node  // of a List
	Fields []Field // of a Map, in the order of the file, keys unique
}

// Field is one entry of a mapping.
type Field struct {
	Key   string
	Pos   diag.Pos // of the key
	Value Node
}

// IsJSON tells by a file's name whether it holds JSON: everything that is not
// called .yaml or .yml does.
func IsJSON(name string) bool {
	ext := filepath.Ext(name)
	return ext != ".yaml" && ext != ".yml"
}

// Load reads the file at path, which also names it in findings. What is wrong in
// it comes back as from Parse, a file that cannot be read as *fs.PathError.
func Load(path string) (Node, error) {
	data, err := read(path)
	if err != nil {
		return Node{}, err
	}
	return Parse(path, data)
}

// Parse reads data, whose syntax follows from the file's name. An empty file is
// a null node. Errors are *diag.Errors. When the syntax is sound and only single
// entries are not, such as a key that is given twice, the node holds the others,
// so that all of a file's faults can be reported together.
func Parse(name string, data []byte) (Node, error) {
	if IsJSON(name) {
		return parseJSON(name, data)
	}
	return parseYAML(name, data)
}

// read reads a regular file of no more than MaxSize bytes.
func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxSize {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("larger than %d MiB", MaxSize>>20)}
	}
	return data, nil
}

// Get returns the value of a mapping's key.
func (n Node) Get(key string) (Node, bool) {
	for _, f := range n.Fields {
		if f.Key == key {
			return f.Value, true
		}
	}
	return Node{}, false
}

// Describe names the value for a message: `the string "no"`, "a list".
func (n Node) Describe() string {
	switch n.Kind {
	case Null, List, Map:
		return n.Kind.String()
	case String:
		return fmt.Sprintf("the string %q", shorten(n.Text))
	case Bool:
		return "the boolean " + n.Text
	default:
		return "the number " + shorten(n.Text)
	}
}

func shorten(s string) string {
	const limit = 60
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}

// Any returns the value as nil, bool, int64, uint64, float64, string, []any or
// map[string]any.
func (n Node) Any() any {
	switch n.Kind {
	case Null:
		return nil
	case Bool, Int, Float:
		return n.scalar()
	case String:
		return n.Text
	case List:
		items := make([]any, len(n.Items))
		for i, item := range n.Items {
			items[i] = item.Any()
		}
		return items
	default:
		fields := make(map[string]any, len(n.Fields))
		for _, f := range n.Fields {
			fields[f.Key] = f.Value.Any()
		}
		return fields
	}
}

// maxPath keeps long keys from being repeated in the paths of all below them.
const maxPath = 250

// child is the path of a field below path.
func child(path, key string) string {
	if path != "" {
		path += "."
	}
	return limit(path + shorten(key))
}

// item is the path of an item of the list at path.
func item(path string, i int) string { return limit(fmt.Sprintf("%s[%d]", path, i)) }

func limit(path string) string {
	if len(path) <= maxPath {
		return path
	}
	return strings.ToValidUTF8(path[:maxPath], "") + "…"
}

// fail makes the one finding that ends a parse.
func fail(pos diag.Pos, format string, args ...any) error {
	var found diag.List
	found.Addf(pos, format, args...)
	return found.Err()
}

var errTooBig = errors.New("too many values, or aliases that repeat each other")

// budget counts down the values that may still be made.
type budget int

func (b *budget) spend(depth int) error {
	*b--
	if *b < 0 {
		return errTooBig
	}
	if depth > maxDepth {
		return fmt.Errorf("nested more than %d levels deep", maxDepth)
	}
	return nil
}
