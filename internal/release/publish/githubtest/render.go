package githubtest

import (
	"fmt"
	"time"
)

// render is a release as the API shows it.
func (s *Server) render(r Release) m {
	api := s.URL + s.repo()
	page := fmt.Sprintf("%s/%s/%s/releases/tag/", s.URL, s.options.Owner, s.options.Repo)
	var published, tarball, zipball any
	if r.Draft {
		page += fmt.Sprintf("untagged-%d", r.ID)
	} else {
		page += r.Tag
		published = stamp(r.Published)
		tarball, zipball = api+"/tarball/"+r.Tag, api+"/zipball/"+r.Tag
	}
	assets := []any{}
	for _, a := range r.Assets {
		assets = append(assets, s.renderAsset(r, a))
	}
	target := r.Target
	if target == "" {
		target = "main"
	}
	id := fmt.Sprintf("%s/releases/%d", api, r.ID)
	return m{
		"id": r.ID, "node_id": fmt.Sprintf("RE_%d", r.ID), "url": id, "html_url": page, "assets_url": id + "/assets",
		"upload_url":  fmt.Sprintf("%s%s%s/releases/%d/assets{?name,label}", s.URL, uploadPrefix, s.repo(), r.ID),
		"tarball_url": tarball, "zipball_url": zipball,
		"tag_name": r.Tag, "target_commitish": target, "name": r.Name, "body": r.Body,
		"draft": r.Draft, "prerelease": r.Prerelease, "immutable": r.Immutable,
		"created_at": stamp(r.Created), "published_at": published, "updated_at": stamp(r.Created),
		"author": s.user(), "assets": assets,
	}
}

func (s *Server) renderAsset(r Release, a Asset) m {
	var digest any
	if a.State == "uploaded" && !s.options.NoDigest {
		digest = "sha256:" + a.SHA256
	}
	return m{
		"id": a.ID, "node_id": fmt.Sprintf("RA_%d", a.ID), "url": fmt.Sprintf("%s%s/releases/assets/%d", s.URL, s.repo(), a.ID),
		"browser_download_url": fmt.Sprintf("%s/%s/%s/releases/download/%s/%s", s.URL, s.options.Owner, s.options.Repo, r.Tag, a.Name),
		"name":                 a.Name, "label": a.Label, "state": a.State, "content_type": a.ContentType, "size": a.Size, "digest": digest,
		"download_count": 0, "created_at": stamp(a.Created), "updated_at": stamp(a.Created), "uploader": s.user(),
	}
}

// user is the bot that GITHUB_TOKEN acts as.
func (s *Server) user() m {
	const login = "github-actions[bot]"
	user := s.URL + "/users/" + login
	u := m{
		"login": login, "id": 41898282, "node_id": "MDM6Qm90NDE4OTgyODI=", "avatar_url": s.URL + "/in/15368",
		"gravatar_id": "", "url": user, "html_url": s.URL + "/apps/github-actions", "type": "Bot", "site_admin": false,
	}
	for key, path := range map[string]string{
		"followers_url": "/followers", "following_url": "/following{/other_user}", "gists_url": "/gists{/gist_id}",
		"starred_url": "/starred{/owner}{/repo}", "subscriptions_url": "/subscriptions", "organizations_url": "/orgs",
		"repos_url": "/repos", "events_url": "/events{/privacy}", "received_events_url": "/received_events",
	} {
		u[key] = user + path
	}
	return u
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
