"""Solves a package set with dnf's API and downloads the result.

Reads one JSON request from standard input and writes one JSON answer to
standard output; progress goes to standard error. The request and the answer are
described by the Go types solveRequest and solveAnswer.
"""
import functools
import hashlib
import json
import logging
import os
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

import dnf
import dnf.exceptions
import libdnf

NEVER = -1
USERINFO = re.compile(r"://[^/\s]*@")
QUERY = re.compile(r"(://[^\s?]+)\?[^\s,;)]*")


def without_secrets(text):
    """Leaves out what in a URL gives access: user, password and query."""
    return QUERY.sub(r"\1", USERINFO.sub("://", text))


class Log(logging.Handler):
    """Passes on what dnf says and keeps the reasons of failed downloads, which
    its exceptions leave out."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.reasons = []

    def emit(self, record):
        text = without_secrets(record.getMessage())
        if "missing name in configuration" in text:
            return
        reasons = [line[4:] for line in text.splitlines() if line.startswith("  - ")]
        if reasons:
            self.reasons = reasons
        else:
            print(text, file=sys.stderr)


log = Log()


def configure(base, req):
    conf = base.conf
    conf.installroot = req["installroot"]
    conf.cachedir = req["cachedir"]
    conf.logdir = req["logdir"]
    conf.persistdir = os.path.join(req["logdir"], "persist")
    conf.reposdir = [req["reposdir"]]
    conf.varsdir = []
    conf.pluginpath = []
    conf.plugins = False
    conf.install_weak_deps = req["weak"]
    conf.metadata_expire = 0
    conf.gpgcheck = False  # each repository says for itself
    conf.module_platform_id = req["platform"]
    conf.zchunk = False
    conf.max_parallel_downloads = 6
    conf.retries = 4
    conf.timeout = 30
    subst = conf.substitutions
    subst.update(req["vars"])
    subst["basearch"] = subst["arch"] = req["basearch"]
    conf.arch = req["basearch"]
    subst["releasever"] = req["releasever"]  # else it stays None, which dnf trips over


def load_repos(base, req, answer):
    """Loads the metadata of the wanted repositories, all of them before it
    complains about any."""
    base.read_all_repos()
    wanted = set(req["repos"])
    for repo in base.repos.values():
        if repo.id not in wanted:
            repo.disable()
            continue
        repo.enable()
        repo.pkgdir = req["pkgdir"]
        if load_repo(repo, req, answer):
            repo.metadata_expire = NEVER  # fill_sack does not ask again
        else:
            repo.disable()
    if answer["unreachable"]:
        return False
    base.fill_sack(load_system_repo=False, load_available_repos=bool(wanted))
    return True


def load_repo(repo, req, answer):
    optional = repo.id in req["optional"]
    repo.skip_if_unavailable = False
    log.reasons = []
    try:
        if repo.gpgcheck or repo.repo_gpgcheck:
            answer["keys"][repo.id] = fetch_keys(repo, req)
        if repo.repo_gpgcheck:
            # Trust no key of an earlier run: the config may have dropped it.
            shutil.rmtree(repo._pubring_dir, ignore_errors=True)
            repo.gpgkey = ["file://" + path for path in answer["keys"][repo.id]]
        repo.load()
        return True
    except (dnf.exceptions.Error, OSError, ValueError) as err:
        places = list(repo.baseurl) + [u for u in (repo.metalink, repo.mirrorlist) if u]
        why = "; ".join(dict.fromkeys(log.reasons)) or str(err)
        entry = {"repo": repo.id, "urls": places, "why": why}
        answer["skipped" if optional else "unreachable"].append(entry)
        return False


def fetch_keys(repo, req):
    """Puts the keys of a repository into files; a path that is no URL is
    relative to the .repo file."""
    paths = []
    for number, url in enumerate(repo.gpgkey):
        if "://" not in url:
            url = "file://" + os.path.join(req["repo_dirs"][repo.id], url)
        path = os.path.join(req["keysdir"], "%s.%d" % (repo.id.replace("/", "_"), number))
        try:
            with dnf.util._urlopen(url, repo=repo, mode="w+b") as key, open(path, "wb") as out:
                shutil.copyfileobj(key, out)
        except (dnf.exceptions.Error, OSError, RuntimeError) as err:
            raise ValueError("get gpgkey %s: %s" % (url, err))
        paths.append(path)
    return paths


def add_files(base, req, answer):
    """Adds package files that lie here already, and returns the newest of each
    name among the developer's overrides."""
    newest = {}
    for path in req["files"]:
        base.sack.add_cmdline_package(path)
    for path in req["overrides"]:
        pkg = base.sack.add_cmdline_package(path)
        if pkg.arch in ("src", "nosrc"):
            continue
        if pkg.arch not in base.sack.list_arches() and pkg.arch != "noarch":
            answer["foreign"].append(path)
            continue
        known = newest.get(pkg.name)
        if known is None or pkg.evr_cmp(known) > 0:
            newest[pkg.name] = pkg
    return newest


def apply_locks(base, req, overrides):
    """Hides what locks and overrides rule out; names the locks that nothing
    matches."""
    sack = base.sack
    locked_repos = set(req["lockfile_repos"])
    locks = req["locks"]
    seen = set(overrides)
    hide = []
    for pkg in sack.query().run():
        if pkg.name in overrides:
            if identity(pkg) != identity(overrides[pkg.name]):
                hide.append(pkg)
            continue
        lock = locks.get(pkg.name)
        if lock is None:
            if req["strict"] or pkg.reponame in locked_repos:
                hide.append(pkg)
        elif matches(pkg, lock):
            seen.add(pkg.name)
        else:
            hide.append(pkg)
    if hide:
        sack.add_excludes(sack.query().filterm(pkg=hide))
    if req["exclude"]:
        sack.add_excludes(sack.query().filterm(name=req["exclude"]))
    return sorted(set(locks) - seen)


def identity(pkg):
    """Tells a file given to us from a package of the same version elsewhere."""
    return (str(pkg), pkg.reponame, pkg.localPkg())


def matches(pkg, lock):
    evr = "%s:%s-%s" % (pkg.epoch, pkg.version, pkg.release)
    if lock["version"] not in (evr, "%s.%s" % (evr, pkg.arch)):
        return False
    return not lock.get("digest") or lock["digest"] == checksum(pkg)


def install(base, req, overrides):
    missing = []
    for index, item in enumerate(req["install"]):
        repo = item.get("repo")
        if item["spec"] in overrides:
            repo = None  # the override beats the repository of repo-packages
        try:
            base.install(item["spec"], reponame=repo, strict=True)
        except dnf.exceptions.Error:
            missing.append(index)
    return missing


def checksum(pkg):
    if pkg.reponame == "@commandline":
        return ""
    kind, digest = pkg.returnIdSum()
    return "%s:%s" % (kind, digest.hex() if isinstance(digest, bytes) else digest)


def describe(pkg):
    return {
        "name": pkg.name, "epoch": str(pkg.epoch), "version": pkg.version,
        "release": pkg.release, "arch": pkg.arch, "repo": pkg.reponame,
        "sourcerpm": pkg.sourcerpm or "", "buildtime": int(pkg.buildtime), "size": pkg.downloadsize,
        "checksum": checksum(pkg), "path": pkg.localPkg(),
    }


def download(base, chosen):
    """Brings what is not here yet; what is here counts only if its checksum
    agrees. Files of a local repository are copied by the caller."""
    remote = [p for p in chosen if p.reponame != "@commandline" and not p.remote_location(("file",))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        here = list(pool.map(complete, [(p.localPkg(), checksum(p)) for p in remote]))
    wanted = [p for p, done in zip(remote, here) if not done]
    if wanted:
        base.download_packages(wanted)


def complete(file):
    path, want = file
    kind, _, digest = want.partition(":")
    try:
        found = hashlib.new("sha1" if kind == "sha" else kind)
        with open(path, "rb") as f:
            for block in iter(functools.partial(f.read, 1 << 20), b""):
                found.update(block)
    except (OSError, ValueError):
        return False
    if found.hexdigest() == digest:
        return True
    os.remove(path)  # half a file, or another of the same name
    return False


def solve(base, req, answer):
    configure(base, req)
    if not load_repos(base, req, answer):
        return
    overrides = add_files(base, req, answer)
    answer["unmatched_locks"] = apply_locks(base, req, overrides)
    answer["missing"] = install(base, req, overrides)
    if answer["missing"]:
        return
    base.resolve()
    chosen = sorted(base.transaction.install_set)
    if req["download"]:
        download(base, chosen)
    answer["packages"] = [describe(p) for p in chosen]
    for repo in base.repos.iter_enabled():
        answer["repos"][repo.id] = int(repo._repo.getMaxTimestamp())


def main():
    req = json.load(sys.stdin)
    answer = {
        "packages": [], "missing": [], "problem": "", "failure": "", "unmatched_locks": [],
        "repos": {}, "keys": {}, "unreachable": [], "skipped": [], "foreign": [],
    }
    logger = logging.getLogger("dnf")
    logger.addHandler(log)
    logger.propagate = False
    base = dnf.Base()
    try:
        solve(base, req, answer)
    except dnf.exceptions.DepsolveError as err:
        answer["problem"] = str(err)
    except (dnf.exceptions.Error, libdnf.error.Error, OSError) as err:
        answer["failure"] = str(err)
    finally:
        base.close()
    json.dump(answer, sys.stdout)


main()
