// Command artifactserver is act's artifact server by itself: what a workflow
// runner has for uploads and downloads. It prints a token for its clients and
// runs until its standard input ends.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/nektos/act/pkg/artifacts"
	"github.com/nektos/act/pkg/common"
)

func main() {
	dir := flag.String("dir", "", "directory to keep artifacts in")
	port := flag.String("port", "", "port on the loopback interface")
	flag.Parse()
	token, err := common.CreateAuthorizationToken(1, 1, 1)
	if err != nil {
		log.Fatal(err)
	}
	stop := artifacts.Serve(context.Background(), *dir, "127.0.0.1", *port)
	defer stop()
	fmt.Println(token)
	_, _ = io.Copy(io.Discard, os.Stdin)
}
