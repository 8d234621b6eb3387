package testkit

import (
	"bytes"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

// FitsSchema holds a JSON document against the JSON schema in a file.
func FitsSchema(t testing.TB, schema string, document []byte) {
	t.Helper()
	require.NoError(t, schemaError(t, schema, document))
}

// RefusedBySchema makes sure that the schema can refuse.
func RefusedBySchema(t testing.TB, schema string, document []byte) {
	t.Helper()
	require.Error(t, schemaError(t, schema, document))
}

func schemaError(t testing.TB, schema string, document []byte) error {
	t.Helper()
	compiled, err := jsonschema.NewCompiler().Compile(schema)
	require.NoError(t, err)
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	require.NoError(t, err)
	return compiled.Validate(value)
}
