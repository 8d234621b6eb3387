package kola

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/nestos/nosa-actions/internal/format/ostreerepo"
)

// Download is what a machine fetches to get from one commit to another.
type Download struct {
	From      string `json:"from"` // commits
	To        string `json:"to"`
	Objects   int    `json:"objects"`   // that the one has and the other has not
	Predicted int64  `json:"predicted"` // bytes, from the two commits
	Measured  int64  `json:"measured"`  // bytes that the server sent
}

// downloadMargin is how far prediction and measurement may lie apart, in percent.
const downloadMargin = 5

// String says it in a sentence.
func (d Download) String() string {
	return fmt.Sprintf("%d objects, %.1f MB downloaded; %.1f MB predicted from the commits",
		d.Objects, float64(d.Measured)/1e6, float64(d.Predicted)/1e6)
}

// check holds the measurement against the prediction.
func (d Download) check() error {
	if d.From == "" {
		return nil // the old commit is not known
	}
	if off := d.Measured - d.Predicted; max(off, -off)*100 > d.Predicted*downloadMargin {
		return fmt.Errorf("%s: more than %d%% apart", d, downloadMargin)
	}
	return nil
}

// Predict tells what a client of a repository in archive mode fetches that has
// the commit from, if that is in the repository, and follows ref to the commit
// to: every object that is missing, and the files by which it finds them.
func Predict(repo, ref, from, to string) (Download, error) {
	d := Download{To: to}
	r, err := ostreerepo.Open(repo)
	if err != nil {
		return d, err
	}
	had := objects{}
	if sum, err := ostreerepo.ParseChecksum(from); err == nil && r.Has(ostreerepo.KindCommit, sum) {
		d.From = from
		if err := had.add(r, sum); err != nil {
			return d, err
		}
	}
	sum, err := ostreerepo.ParseChecksum(to)
	if err != nil {
		return d, err
	}
	wanted := objects{}
	if err := wanted.add(r, sum); err != nil {
		return d, err
	}
	sizes := []string{"config", "summary", filepath.Join("refs/heads", ref), object(sum, "commitmeta")}
	for name := range wanted {
		if !had[name] {
			d.Objects++
			sizes = append(sizes, name)
		}
	}
	for _, name := range sizes {
		if info, err := os.Stat(filepath.Join(repo, name)); err == nil {
			d.Predicted += info.Size()
		}
	}
	return d, nil
}

// objects are the files of objects, relative to their repository.
type objects map[string]bool

func object(sum ostreerepo.Checksum, extension string) string {
	hex := sum.String()
	return filepath.Join("objects", hex[:2], hex[2:]+"."+extension)
}

// add adds all objects of a commit.
func (o objects) add(r *ostreerepo.Repo, commit ostreerepo.Checksum) error {
	c, err := r.Commit(commit)
	if err != nil {
		return err
	}
	o[object(commit, "commit")] = true
	return o.addTree(r, c.Tree, c.Meta)
}

func (o objects) addTree(r *ostreerepo.Repo, tree, meta ostreerepo.Checksum) error {
	o[object(meta, "dirmeta")] = true
	name := object(tree, "dirtree")
	if o[name] {
		return nil
	}
	o[name] = true
	t, err := r.Dirtree(tree)
	if err != nil {
		return err
	}
	for _, f := range t.Files {
		o[object(f.Checksum, "filez")] = true
	}
	for _, d := range t.Dirs {
		if err := o.addTree(r, d.Tree, d.Meta); err != nil {
			return err
		}
	}
	return nil
}

// server hands out a repository on the loopback interface, which guests reach
// through qemu, and counts the bytes.
type server struct {
	URL  string // as guests see it
	sent atomic.Int64
	http http.Server
}

// readTime is how long a guest may take to say what it wants.
const readTime = time.Minute

func serve(dir string) (*server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	s := &server{URL: fmt.Sprintf("http://10.0.2.2:%d", port)}
	files := http.FileServer(http.Dir(dir))
	s.http.ReadHeaderTimeout = readTime
	s.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		files.ServeHTTP(counter{w, &s.sent}, r)
	})
	go func() { _ = s.http.Serve(listener) }()
	return s, nil
}

func (s *server) Close() { _ = s.http.Close() }

// counter counts the bytes of bodies.
type counter struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (c counter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.sent.Add(int64(n))
	return n, err
}
