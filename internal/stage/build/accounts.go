package build

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nestos/nosa-actions/internal/diag"
	"github.com/nestos/nosa-actions/internal/manifest"
	"github.com/nestos/nosa-actions/internal/rootfs"
	"github.com/nestos/nosa-actions/internal/tool"
)

// accountCheck is one of check-passwd and check-groups.
type accountCheck struct {
	kind   rootfs.AccountKind
	key    string
	check  manifest.Check
	ignore []string
}

func (s *session) accountChecks() [2]accountCheck {
	m := s.config.Manifest
	return [2]accountCheck{
		{rootfs.Users, "check-passwd", m.CheckPasswd, m.IgnoreRemovedUsers},
		{rootfs.Groups, "check-groups", m.CheckGroups, m.IgnoreRemovedGroups},
	}
}

// fromConfig tells whether the config itself has the reference.
func (a accountCheck) fromConfig() bool {
	return a.check.Type == manifest.CheckFile || a.check.Type == manifest.CheckData
}

// seedAccounts gives the tree the users and groups of the config, or else of the
// previous commit, so that their numbers stay.
func (s *session) seedAccounts(ctx context.Context, tree *rootfs.Tree) error {
	if !s.config.Manifest.PreservePasswd {
		return nil
	}
	checks := s.accountChecks()
	if users, groups := checks[0], checks[1]; users.fromConfig() != groups.fromConfig() {
		return mixedSeeds(users, groups)
	}
	var found diag.List
	for _, a := range checks {
		text, shadow, err := s.seed(ctx, a, &found)
		if err != nil {
			return err
		}
		if text == "" {
			continue // the first build of a config that leaves it to the packages
		}
		if err := tree.SeedAccounts(a.kind, text); err != nil {
			return err
		}
		s.shadow[a.kind] = shadow
	}
	return found.Err()
}

// completeShadow gives the seeded accounts their lines among the passwords.
func (s *session) completeShadow(tree *rootfs.Tree) error {
	for kind, shadow := range s.shadow {
		if err := tree.CompleteShadow(rootfs.AccountKind(kind), shadow); err != nil {
			return err
		}
	}
	return nil
}

// mixedSeeds refuses users of one source with groups of the other, whose numbers
// would not belong together.
func mixedSeeds(users, groups accountCheck) error {
	from, other := users, groups
	if groups.fromConfig() {
		from, other = groups, users
	}
	var found diag.List
	found.Add(diag.Finding{
		Pos: from.check.Pos,
		Message: fmt.Sprintf("%s is of type %s, but %s of type %s: one would come from the config, the other from the previous commit",
			from.key, from.check.Type, other.key, other.check.Type),
		Mend: fmt.Sprintf("give %s a file or data too", other.key),
	})
	return found.Err()
}

// seed is the text of passwd or group to begin with, and that of the passwords;
// empty if there is none.
func (s *session) seed(ctx context.Context, a accountCheck, found *diag.List) (text, shadow string, err error) {
	switch a.check.Type {
	case manifest.CheckFile:
		content, err := a.check.File.Read()
		if err != nil {
			return "", "", fmt.Errorf("%s: %w", a.check.File.Pos, err)
		}
		text = string(content)
		rootfs.ParseAccounts(a.kind, text, a.check.File.Path, found) // for what is wrong with it
	case manifest.CheckData:
		for _, account := range a.data() {
			text += account.Line(a.kind)
		}
	default:
		if text, err = s.previousAccounts(ctx, a.kind); err != nil || text == "" {
			return "", "", err
		}
		shadow, err = s.previousFile(ctx, "/usr/etc/"+a.kind.Shadow())
		return text, shadow, err
	}
	return text, rootfs.Locked(a.kind, text), nil
}

// data is the reference that stands in the treefile.
func (a accountCheck) data() []rootfs.Account {
	var accounts []rootfs.Account
	for _, entry := range a.check.Entries {
		account := rootfs.Account{Name: entry.Name, ID: uint32(entry.ID), Pos: entry.Pos}
		if entry.GID != nil {
			gid := uint32(*entry.GID)
			account.GID = &gid
		}
		accounts = append(accounts, account)
	}
	return accounts
}

// previousAccounts reads them from the commit of the previous build; empty if
// there is none.
func (s *session) previousAccounts(ctx context.Context, kind rootfs.AccountKind) (string, error) {
	if s.previous == nil {
		return "", nil
	}
	if err := s.restore(ctx, s.previous); err != nil {
		return "", err
	}
	var texts []string
	for _, dir := range []string{"/usr/lib/", "/usr/etc/"} {
		text, err := s.previousFile(ctx, dir+kind.File())
		if err != nil {
			return "", err
		}
		texts = append(texts, text)
	}
	return rootfs.MergeAccounts(texts...), nil
}

// previousFile reads a file of the previous build's commit, which is whole; empty
// if there is none: a tree without nss-altfiles has all accounts in /etc.
func (s *session) previousFile(ctx context.Context, path string) (string, error) {
	text, err := s.repo.Cat(ctx, s.previous.commit.Checksum, path)
	if failed, ok := errors.AsType[*tool.Error](err); ok && strings.Contains(failed.Stderr, "No such file or directory") {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read %s of build %s: %w", path, s.previous.build.ID, err)
	}
	return string(text), nil
}

// checkAccounts compares the users and groups of the finished tree with the
// reference that the manifest names. All that differs is reported at once.
func (s *session) checkAccounts(ctx context.Context, tree *rootfs.Tree) error {
	var found diag.List
	for _, a := range s.accountChecks() {
		ref, err := s.reference(ctx, a, &found)
		if err != nil {
			return err
		}
		if ref == nil {
			continue
		}
		notes, err := tree.CheckAccounts(*ref, &found)
		if err != nil {
			return fmt.Errorf("%s: %w", a.key, err)
		}
		for _, note := range notes {
			s.log.Notef("%s: %s", a.key, note)
		}
	}
	return found.Err()
}

// reference is nil where nothing is to be compared.
func (s *session) reference(ctx context.Context, a accountCheck, found *diag.List) (*rootfs.Reference, error) {
	ref := &rootfs.Reference{Kind: a.kind, Pos: a.check.Pos, Ignore: a.ignore}
	switch a.check.Type {
	case manifest.CheckFile:
		text, err := a.check.File.Read()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.check.File.Pos, err)
		}
		ref.Origin = a.check.File.Name
		ref.Accounts = rootfs.ParseAccounts(a.kind, string(text), a.check.File.Path, found)
	case manifest.CheckData:
		ref.Origin = a.key
		ref.Accounts = a.data()
	case manifest.CheckPrevious:
		text, err := s.previousAccounts(ctx, a.kind)
		if err != nil || text == "" {
			return nil, err
		}
		ref.Origin = "build " + s.previous.build.ID
		ref.Accounts = rootfs.ParseAccounts(a.kind, text, "", found)
		for i := range ref.Accounts {
			ref.Accounts[i].Pos = diag.Pos{} // the merged text is nobody's file
		}
	default:
		return nil, nil
	}
	return ref, nil
}
