package rootfs

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// fileLists are the files of the tree that file triggers look at.
type fileLists struct {
	owned   map[int][]string // by instance of the package: what it brought and is there
	unowned []string         // files that no package brought, as those of overlays
}

// of lists the files of the packages in their order.
func (f *fileLists) of(packages []scripted) []string {
	var list []string
	for _, p := range packages {
		list = append(list, f.owned[p.instance]...)
	}
	return list
}

// all lists every file.
func (f *fileLists) all(packages []scripted) []string { return append(f.of(packages), f.unowned...) }

// files reads what there is for triggers of the kinds; nothing where no package
// has one.
func (r *scriptRun) files(ctx context.Context, kinds ...string) (*fileLists, error) {
	wanted := slices.ContainsFunc(r.packages, func(p scripted) bool {
		return slices.ContainsFunc(kinds, func(kind string) bool { return len(p.triggers[kind]) > 0 })
	})
	lists := &fileLists{owned: map[int][]string{}}
	if !wanted {
		return lists, nil
	}
	out, err := r.tree.query(ctx, `[%{=DBINSTANCE} %{FILENAMES:shescape}\n]`)
	if err != nil {
		return nil, err
	}
	owned := map[string]bool{}
	dirs := map[string]string{} // packages name few directories, many times
	for _, record := range shellWords(out) {
		if len(record) != 2 {
			continue // a package without files
		}
		dir, base := filepath.Split(record[1])
		if dirs[dir] == "" {
			if dirs[dir], err = followDirs(r.tree.Root, dir); err != nil {
				return nil, err
			}
		}
		path := filepath.Join(r.tree.Root, dirs[dir], base)
		owned[path] = true
		if _, err := os.Lstat(path); err != nil {
			continue // left out, or removed
		}
		instance := number(record[0])
		lists.owned[instance] = append(lists.owned[instance], record[1])
	}
	for _, top := range []string{"etc", "usr"} {
		if err := r.unowned(top, owned, lists); err != nil {
			return nil, err
		}
	}
	return lists, nil
}

// unowned adds the files below top that are not in owned.
func (r *scriptRun) unowned(top string, owned map[string]bool, lists *fileLists) error {
	root := r.tree.Root
	err := filepath.WalkDir(filepath.Join(root, top), func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (path == filepath.Join(root, "usr/local") || path == filepath.Join(root, DBPath)):
			return filepath.SkipDir
		case !entry.IsDir() && !owned[path]:
			lists.unowned = append(lists.unowned, strings.TrimPrefix(path, root))
		}
		return nil
	})
	if os.IsNotExist(err) {
		return nil
	}
	return err
}
