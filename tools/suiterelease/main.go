// Command suiterelease publishes a release of the actions: what suitebinaries built,
// a commit that names it, the tag of that commit, and the tag of the major version.
// Broken off, it goes on where it was.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/nestos/nosa-actions/internal/progress"
	"github.com/nestos/nosa-actions/internal/pullrequest"
	"github.com/nestos/nosa-actions/internal/release"
	"github.com/nestos/nosa-actions/internal/release/publish"
	"github.com/nestos/nosa-actions/tools/command"
)

func main() { command.Main("suiterelease", run) }

func run(ctx context.Context) error {
	var o options
	flag.StringVar(&o.dir, "assets", "work/suite", "directory that suitebinaries wrote")
	flag.StringVar(&o.commit, "commit", os.Getenv("GITHUB_SHA"), "commit that the programs were built from")
	flag.StringVar(&o.changelog, "changelog", "CHANGELOG.md", "file whose first section becomes the text of the release")
	flag.Parse()
	o.api, o.token, o.repository = os.Getenv("GITHUB_API_URL"), os.Getenv("GITHUB_TOKEN"), os.Getenv("GITHUB_REPOSITORY")
	url, err := o.release(ctx, progress.New(os.Stdout))
	if err == nil {
		fmt.Println(url)
	}
	return err
}

// options say what is released where.
type options struct {
	dir, commit, changelog string
	api, token, repository string
}

var version = regexp.MustCompile(`^(v[0-9]+)\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$`)

func (o options) release(ctx context.Context, log *progress.Log) (url string, err error) {
	list, err := os.ReadFile(filepath.Join(o.dir, "binaries"))
	if err != nil {
		return "", err
	}
	plan, err := o.plan(list)
	if err != nil {
		return "", err
	}
	git, err := pullrequest.New(pullrequest.Config{BaseURL: o.api, Token: o.token, Repository: o.repository})
	if err != nil {
		return "", err
	}
	sha, err := git.TagCommit(ctx, plan.Tag, o.commit, "release "+plan.Tag, map[string][]byte{"actions/binaries": list})
	if err != nil {
		return "", fmt.Errorf("make the commit of the release: %w", err)
	}
	done, err := publish.Publish(ctx, log, publish.Config{BaseURL: o.api, Token: o.token}, plan)
	if err != nil {
		return "", err
	}
	// Last: who uses the major version gets nothing that is not whole.
	if !plan.Prerelease {
		major := version.FindStringSubmatch(plan.Tag)[1]
		if err := git.MoveTag(ctx, major, sha); err != nil {
			return "", fmt.Errorf("move tag %s: %w", major, err)
		}
	}
	return done.URL, nil
}

// plan reads what there is to release, and verifies it against the list.
func (o options) plan(list []byte) (release.Plan, error) {
	owner, repo, _ := strings.Cut(o.repository, "/")
	plan := release.Plan{Owner: owner, Repo: repo}
	names := []string{"SHA256SUMS", "binaries"}
	sums := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(list)); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), " ")
		switch name := strings.TrimSpace(value); {
		case key == "tag":
			plan.Tag = name
		case len(key) == 64:
			names, sums[name] = append(names, name), key
		}
	}
	match := version.FindStringSubmatch(plan.Tag)
	if match == nil || len(sums) == 0 {
		return plan, errors.New("binaries is not a list of suitebinaries")
	}
	plan.Prerelease = match[2] != ""
	for _, name := range names {
		a, err := asset(filepath.Join(o.dir, name))
		if err != nil {
			return plan, err
		}
		if want, ok := sums[name]; ok && want != a.SHA256 {
			return plan, fmt.Errorf("%s does not have the checksum in binaries", name)
		}
		plan.Assets = append(plan.Assets, a)
	}
	var err error
	plan.Notes, err = notes(o.changelog)
	return plan, err
}

func asset(path string) (release.Asset, error) {
	f, err := os.Open(path)
	if err != nil {
		return release.Asset{}, err
	}
	defer f.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, f)
	return release.Asset{Name: filepath.Base(path), Path: path, Size: size, SHA256: hex.EncodeToString(hash.Sum(nil))}, err
}

// notes is the first section of the changelog, and how to verify.
func notes(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	_, section, _ := strings.Cut("\n"+string(text), "\n## ")
	_, section, _ = strings.Cut(section, "\n")
	section, _, _ = strings.Cut(section, "\n## ")
	return strings.TrimSpace(section) + "\n\nThe programs are those that `actions/binaries` of the tag names by checksum; " +
		"`go run ./tools/suitebinaries` builds the same bytes.\n", nil
}
