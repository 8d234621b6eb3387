package rootfs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nestos/nosa-actions/internal/tool"
)

// RewriteDatabase lets the tree's own rpm write the database that this machine's
// rpm wrote, in the format that it reads: the two may be of different
// distributions. A tree without rpm keeps it as it is. Scratch is a directory
// outside the tree.
func (t *Tree) RewriteDatabase(ctx context.Context, scratch string) error {
	const rpmdb = "/usr/bin/rpmdb"
	if !t.has(rpmdb) {
		return nil
	}
	headers, err := os.Create(filepath.Join(scratch, "rpmdb.headers"))
	if err != nil {
		return err
	}
	defer os.Remove(headers.Name())
	defer headers.Close()
	_, err = t.Run.Run(ctx, tool.Cmd{
		Name: "rpmdb", Args: []string{"--root=" + t.Root, "--dbpath=" + DBPath, "--exportdb"}, Stdout: headers,
	})
	if err != nil {
		return fmt.Errorf("export the rpm database: %w", err)
	}
	if _, err := headers.Seek(0, 0); err != nil {
		return err
	}
	const fresh = DBPath + ".new"
	if err := os.Mkdir(filepath.Join(t.Root, fresh), 0o755); err != nil {
		return err
	}
	if err := t.run(ctx, sandbox{stdin: headers}, rpmdb, "--dbpath="+fresh, "--importdb"); err != nil {
		return fmt.Errorf("write the rpm database with the tree's rpm: %w", err)
	}
	if err := os.RemoveAll(filepath.Join(t.Root, DBPath)); err != nil {
		return err
	}
	return os.Rename(filepath.Join(t.Root, fresh), filepath.Join(t.Root, DBPath))
}

// placeDatabase makes the rpm database readable from a read-only /usr and lets
// rpm find it at the places it is looked for.
func (t *Tree) placeDatabase() error {
	if err := t.rollbackJournal(); err != nil {
		return err
	}
	macros := filepath.Join(t.Root, "usr/lib/rpm/macros.d/macros.rpm-ostree")
	if err := os.MkdirAll(filepath.Dir(macros), 0o755); err != nil {
		return err
	}
	if err := replaceFile(macros, []byte("%_dbpath "+DBPath+"\n"), 0o644); err != nil {
		return err
	}
	sysimage := filepath.Join(t.Root, "usr/lib/sysimage")
	if err := os.MkdirAll(sysimage, 0o755); err != nil {
		return err
	}
	for link, target := range map[string]string{"rpm": "../../share/rpm"} {
		path := filepath.Join(sysimage, link)
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		if err := os.Symlink(target, path); err != nil {
			return err
		}
	}
	return linkDir(filepath.Join(t.Root, DBPath), filepath.Join(sysimage, "rpm-ostree-base-db"))
}

// rollbackJournal sets the database file from write-ahead logging to the
// rollback journal: SQLite cannot open a WAL database on a read-only file
// system. Bytes 18 and 19 of the header are the write and read versions; 1 means
// rollback journal (https://www.sqlite.org/fileformat.html, section 1.3).
func (t *Tree) rollbackJournal() error {
	f, err := os.OpenFile(filepath.Join(t.Root, DBPath, "rpmdb.sqlite"), os.O_RDWR, 0)
	if os.IsNotExist(err) {
		return nil // another database format
	}
	if err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte{1, 1}, 18); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// linkDir makes to a copy of the flat directory from out of hard links.
func linkDir(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if err := os.Link(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
