// Command nosa-init is the first process of a container that nosa-actions
// starts; see internal/assembler/container/inside. It is a program of its own
// because it is mounted into images of others and must be small and static.
package main

import (
	"os"

	"github.com/nestos/nosa-actions/internal/assembler/container/inside"
)

func main() { os.Exit(inside.Init(os.Args[1:])) }
