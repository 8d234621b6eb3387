package publish

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/nestos/nosa-actions/internal/release"
)

// A draft carries the checksum of its plan in a comment of its body. A run takes
// the oldest draft of its tag and plan, or makes one. Where two of one plan come
// to be, as listings lag behind, each is filled for itself; the one published
// first has the tag, and sweep removes the others. Drafts without the comment are
// a person's and left alone.

const markerStart = "<!-- nosa-actions release plan sha256:"

// marker is the comment for a plan: two plans have the same if they have the same
// tag and assets. What is written about them may differ.
func marker(plan release.Plan) string {
	lines := []string{plan.Tag}
	for _, a := range plan.Assets {
		lines = append(lines, fmt.Sprintf("%s %d %s", a.Name, a.Size, strings.ToLower(a.SHA256)))
	}
	slices.Sort(lines[1:])
	return fmt.Sprintf("%s%x -->", markerStart, sha256.Sum256([]byte(strings.Join(lines, "\n"))))
}

// published is the published release of the tag, nil if there is none.
func (p *publisher) published(ctx context.Context) (*releaseDoc, error) {
	var found *releaseDoc
	err := p.retry(ctx, "look for a published release", func(ctx context.Context) error {
		var err error
		found, err = p.releaseByTag(ctx, p.plan.Tag)
		if status(err) == http.StatusNotFound {
			found, err = nil, nil
		}
		return err
	})
	return found, err
}

// needTag refuses a tag that GitHub would make up from the default branch.
func (p *publisher) needTag(ctx context.Context) error {
	if p.plan.Target != "" {
		return nil
	}
	return p.retry(ctx, "look for the tag", func(ctx context.Context) error {
		err := p.tagExists(ctx, p.plan.Tag)
		if code := status(err); code != http.StatusNotFound && code != http.StatusConflict {
			return err
		}
		if err := p.repoExists(ctx); err != nil {
			if status(err) == http.StatusNotFound {
				return permanent{fmt.Errorf("there is no repository %s/%s, or the token may not see it", p.plan.Owner, p.plan.Repo)}
			}
			return err
		}
		return permanent{fmt.Errorf("%s/%s has no tag %s: push it first, or name the commit it shall be made of (target)", p.plan.Owner, p.plan.Repo, p.plan.Tag)}
	})
}

// besideTag makes sure that the tag is there while do asks for something else. What
// is wrong with the tag says more than what do has to say.
func (p *publisher) besideTag(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	if err := p.needTag(ctx); err != nil {
		cancel()
		<-done
		return err
	}
	return <-done
}

// beforehand asks, all at once, for what must be known before there is a draft: the
// published release of the tag, nil if there is none; whether the tag is there; and
// which releases there are. Beside a published release these may be the latest
// only, or nil.
func (p *publisher) beforehand(ctx context.Context) (there *releaseDoc, known []releaseDoc, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	asked := make(chan error, 1)
	go func() {
		asked <- p.besideTag(ctx, func(ctx context.Context) error {
			return p.retry(ctx, "look for drafts", func(ctx context.Context) (err error) {
				known, err = p.recent(ctx)
				return err
			})
		})
	}()
	if there, err = p.published(ctx); err != nil {
		cancel()
		<-asked
		return nil, nil, err
	}
	err = <-asked
	switch {
	case there != nil: // what is published needs no tag
		return there, known, nil
	case err != nil || len(known) < pageLen:
		return nil, known, err
	}
	err = p.retry(ctx, "look for drafts", func(ctx context.Context) (err error) {
		known, err = p.releases(ctx)
		return err
	})
	return nil, known, err
}

func (p *publisher) releases(ctx context.Context) ([]releaseDoc, error) {
	return pages[releaseDoc](ctx, p.client, "/releases", 100)
}

// draft finds, among the releases that are known, or makes the draft to work on; it
// tells which of them.
func (p *publisher) draft(ctx context.Context, known []releaseDoc) (mine *releaseDoc, made bool, err error) {
	first := true
	err = p.retry(ctx, "make the draft", func(ctx context.Context) error {
		if !first { // a creation whose answer was lost has happened
			if known, err = p.releases(ctx); err != nil {
				return err
			}
		}
		first = false
		for _, r := range known {
			if p.isDraft(r) && strings.Contains(r.Body, p.mark) && (mine == nil || r.ID < mine.ID) {
				mine = &r
			}
		}
		if mine != nil {
			p.log.Notef("going on with the draft of an earlier run")
			return nil
		}
		mine, err = p.createRelease(ctx, p.edit(true))
		made = err == nil
		return err
	})
	return mine, made, err
}

// isDraft tells whether r is a draft that some run made for this tag.
func (p *publisher) isDraft(r releaseDoc) bool {
	return r.Draft && r.Tag == p.plan.Tag && strings.Contains(r.Body, markerStart)
}

// edit is the release as the plan wants it, as a draft or published.
func (p *publisher) edit(draft bool) releaseEdit {
	e := releaseEdit{
		Tag: p.plan.Tag, Target: p.plan.Target, Name: p.plan.Name, Body: p.plan.Notes,
		Draft: draft, Prerelease: p.plan.Prerelease,
	}
	if e.Name == "" {
		e.Name = p.plan.Tag
	}
	if draft {
		e.Body = "This draft is published as soon as all of its assets are there.\n\n" + p.mark
		return e
	}
	e.Latest = p.plan.Latest
	if e.Latest == "" {
		e.Latest = "legacy"
		if p.plan.Prerelease {
			e.Latest = "false"
		}
	}
	return e
}

// undraft publishes a draft that has been verified.
func (p *publisher) undraft(ctx context.Context, draft *releaseDoc) (*releaseDoc, error) {
	var done *releaseDoc
	first := true
	err := p.retry(ctx, "publish the draft", func(ctx context.Context) error {
		var err error
		if !first { // the answer may have been lost
			done, err = p.releaseByID(ctx, draft.ID)
			switch {
			case status(err) == http.StatusNotFound:
				return errRestart
			case err != nil:
				return err
			case !done.Draft:
				return nil
			}
		}
		first = false
		done, err = p.editRelease(ctx, draft.ID, p.edit(false))
		switch {
		case status(err) == http.StatusNotFound:
			return errRestart
		case refused(err, "tag_name", "already_exists"), refused(err, "tag_name", "custom"):
			return p.taken(ctx, err)
		case err != nil:
			return err
		case done.Draft:
			return again{errors.New("GitHub left it a draft")}
		}
		return nil
	})
	return done, err
}

// taken finds out whether the tag that GitHub refuses has a release by now.
func (p *publisher) taken(ctx context.Context, refusal error) error {
	_, err := p.releaseByTag(ctx, p.plan.Tag)
	switch {
	case err == nil:
		return errRestart
	case status(err) == http.StatusNotFound:
		return permanent{refusal}
	}
	return err
}

// sweep removes the other drafts of the tag: it is taken. The release is out, so
// what fails here is told and no more; the next run sweeps again. Recent is a listing
// that may be as old as the release; nil: none is at hand.
func (p *publisher) sweep(ctx context.Context, published int64, recent []releaseDoc) {
	err := p.retry(ctx, "remove drafts left over", func(ctx context.Context) (err error) {
		if recent == nil {
			if recent, err = p.recent(ctx); err != nil {
				return err
			}
		}
		for _, r := range recent {
			if r.ID == published || !p.isDraft(r) {
				continue
			}
			if err := p.removeDraft(ctx, r.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		p.log.Notef("release %s is published, but: %v", p.plan.Tag, err)
	}
}

func (p *publisher) recent(ctx context.Context) ([]releaseDoc, error) {
	return pages[releaseDoc](ctx, p.client, "/releases", 1)
}

// removeDraft asks before it deletes: listings lag behind.
func (p *publisher) removeDraft(ctx context.Context, id int64) error {
	r, err := p.releaseByID(ctx, id)
	if err == nil && r.Draft {
		err = p.deleteRelease(ctx, id)
	}
	if status(err) == http.StatusNotFound {
		return nil
	}
	return err
}
