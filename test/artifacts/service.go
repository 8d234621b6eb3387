package artifacts

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/tool"
)

// Service is a server that runs, with its clients.
type Service struct {
	dir     string // scratch
	clients string
	env     []string
	stop    func() error
}

// Start starts a service for the repository at root, which keeps its artifacts
// in the directory dir and what it needs itself in state. The caller stops it.
func Start(ctx context.Context, root, state, dir string) (*Service, error) {
	s := &Service{dir: dir, clients: filepath.Join(dir, "clients")}
	if err := Bundle(ctx, root, state, s.clients); err != nil {
		return nil, err
	}
	binary := filepath.Join(state, "artifactserver")
	if err := run(ctx, filepath.Join(root, "test", "e2e", "tools"), "go", "build", "-o", binary, "./artifactserver"); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	in, end := io.Pipe()
	out, said := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		_, err := tool.Host{}.Run(ctx, tool.Cmd{
			Name: binary, Args: []string{"-dir", filepath.Join(dir, "store"), "-port", port}, Stdin: in, Stdout: said, Stderr: io.Discard,
		})
		said.CloseWithError(errors.Join(err, io.ErrUnexpectedEOF))
		ended <- err
	}()
	s.stop = func() error { end.Close(); return <-ended }
	token, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	url := "http://127.0.0.1:" + port + "/"
	s.env = []string{
		"ACTIONS_RUNTIME_TOKEN=" + strings.TrimSpace(token), "ACTIONS_RUNTIME_URL=" + url, "ACTIONS_RESULTS_URL=" + url,
		"GITHUB_RUN_ID=1", "GITHUB_WORKSPACE=" + dir, "RUNNER_TEMP=" + dir, "GITHUB_SERVER_URL=https://github.com", "GITHUB_REPOSITORY=nestos/nosa-actions",
		// The server loses bytes of uploads that overlap.
		"ACTIONS_ARTIFACT_UPLOAD_CONCURRENCY=1",
	}
	return s, errors.Join(answers(ctx, "127.0.0.1:"+port))
}

// answers waits until the server listens.
func answers(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the artifact server does not answer: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// Stop ends the server.
func (s *Service) Stop() error { return s.stop() }

// Upload makes an artifact of the file or directory at path. The level is that
// of zip's compression; 6 is the action's default.
func (s *Service) Upload(ctx context.Context, name, path string, level int) error {
	return s.client(ctx, "upload-artifact", "NAME="+name, "PATH="+path, "COMPRESSION-LEVEL="+strconv.Itoa(level),
		"INCLUDE-HIDDEN-FILES=false")
}

// Download puts an artifact's files into the directory at path.
func (s *Service) Download(ctx context.Context, name, path string) error {
	return s.client(ctx, "download-artifact", "NAME="+name, "PATH="+path, "MERGE-MULTIPLE=false")
}

// Size is what an artifact takes on the server, in bytes.
func (s *Service) Size(name string) (int64, error) {
	info, err := os.Stat(filepath.Join(s.dir, "store", "1", name, name+".zip"))
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (s *Service) client(ctx context.Context, action string, inputs ...string) error {
	env := s.env
	for _, in := range inputs {
		env = append(env[:len(env):len(env)], "INPUT_"+in)
	}
	out, err := tool.Host{}.Run(ctx, tool.Cmd{Name: "node", Args: []string{filepath.Join(s.clients, action, "index.js")}, Env: env})
	if err != nil {
		return fmt.Errorf("%s: %w: %s", action, err, out)
	}
	return nil
}
