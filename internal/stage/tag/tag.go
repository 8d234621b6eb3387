// Package tag is the stage that gives builds names, which prune respects.
package tag

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/nestos/nosa-actions/internal/workdir"
)

// Options describes a tag to set.
type Options struct {
	Workdir     *workdir.Dir
	Tag         string
	Build       string // id; "" or "latest" is the newest build
	Description string
	Force       bool // also for a build that is not known
}

// Update sets a tag; one of that name is replaced in its place.
func Update(o Options) (workdir.Tag, error) {
	if o.Tag == "" {
		return workdir.Tag{}, errors.New("a tag needs a name")
	}
	t := workdir.Tag{
		Name:        o.Tag,
		Created:     workdir.Timestamp(time.Now()),
		Description: o.Description,
	}
	err := o.Workdir.UpdateIndex(func(x *workdir.Index) error {
		var err error
		if t.Target, err = target(*x, o); err != nil {
			return err
		}
		at := slices.IndexFunc(x.Tags, func(old workdir.Tag) bool { return old.Name == t.Name })
		if at < 0 {
			x.Tags = append(x.Tags, t)
		} else {
			x.Tags[at] = t
		}
		return nil
	})
	return t, err
}

func target(x workdir.Index, o Options) (string, error) {
	if o.Build == "" || o.Build == "latest" {
		if len(x.Builds) == 0 {
			return "", fmt.Errorf("tagging the latest build: %w", workdir.ErrNoBuild)
		}
		return x.Builds[0].ID, nil
	}
	if _, known := x.Find(o.Build); !known && !o.Force {
		return "", fmt.Errorf("build %s: %w; --force tags it all the same", o.Build, workdir.ErrNoBuild)
	}
	return o.Build, nil
}

// Delete removes a tag; an unknown one is an error.
func Delete(d *workdir.Dir, name string) error {
	return d.UpdateIndex(func(x *workdir.Index) error {
		at := slices.IndexFunc(x.Tags, func(t workdir.Tag) bool { return t.Name == name })
		if at < 0 {
			return fmt.Errorf("there is no tag %q", name)
		}
		x.Tags = slices.Delete(x.Tags, at, at+1)
		return nil
	})
}

// DeleteAll removes all tags.
func DeleteAll(d *workdir.Dir) error {
	return d.UpdateIndex(func(x *workdir.Index) error {
		x.Tags = nil
		return nil
	})
}

// List writes all tags, a block each.
func List(d *workdir.Dir, w io.Writer) error {
	index, err := d.Index()
	if err != nil {
		return err
	}
	var out strings.Builder
	if len(index.Tags) == 0 {
		out.WriteString("No tags found\n")
	}
	for i, t := range index.Tags {
		if i > 0 {
			out.WriteString("\n")
		}
		fmt.Fprintf(&out, "name: %s\ncreated: %s\ntarget: %s\n", t.Name, t.Created, t.Target)
		if t.Description != "" {
			fmt.Fprintf(&out, "description: %s\n", t.Description)
		}
	}
	_, err = io.WriteString(w, out.String())
	return err
}
