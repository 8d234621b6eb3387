"""Solves a package set with dnf's API and downloads the result.

Reads one JSON request from standard input and writes one JSON answer to
standard output; progress goes to standard error. The request and the answer are
described by the Go types solveRequest and solveAnswer.
"""
import json
import os
import sys

import dnf
import dnf.exceptions


def binary_checksum(pkg):
    kind, digest = pkg.returnIdSum()
    return kind, digest


def configure(base, req):
    conf = base.conf
    conf.installroot = req["installroot"]
    conf.cachedir = req["cachedir"]
    conf.logdir = req["cachedir"]
    conf.persistdir = os.path.join(req["cachedir"], "persist")
    conf.reposdir = [req["reposdir"]]
    conf.varsdir = []
    conf.pluginpath = []
    conf.plugins = False
    conf.install_weak_deps = req["weak"]
    conf.metadata_expire = 0
    conf.gpgcheck = False  # each repository says for itself
    conf.module_platform_id = ""
    conf.zchunk = False
    conf.max_parallel_downloads = 6
    conf.retries = 4
    conf.timeout = 30
    subst = conf.substitutions
    subst["basearch"] = subst["arch"] = req["basearch"]
    conf.arch = req["basearch"]
    subst["releasever"] = req["releasever"]  # else it stays None, which dnf trips over


def load_repos(base, req):
    base.read_all_repos()
    wanted = set(req["repos"])
    for repo in base.repos.values():
        if repo.id not in wanted:
            repo.disable()
            continue
        repo.enable()
        repo.skip_if_unavailable = bool(repo.skip_if_unavailable) and repo.id in req["optional"]
        repo.pkgdir = req["pkgdir"]
    base.fill_sack(load_system_repo=False)


def apply_locks(base, req):
    sack = base.sack
    everything = sack.query().run()
    unknown = []
    locked_repos = set(req["lockfile_repos"])
    locks = req["locks"]
    seen = set()
    hide = []
    for pkg in everything:
        lock = locks.get(pkg.name)
        if lock is None:
            if req["strict"] or pkg.repoid in locked_repos:
                hide.append(pkg)
            continue
        evr = "%s:%s-%s" % (pkg.epoch, pkg.version, pkg.release)
        if lock in (evr, "%s.%s" % (evr, pkg.arch)):
            seen.add(pkg.name)
        else:
            hide.append(pkg)
    if hide:
        sack.add_excludes(sack.query().filterm(pkg=hide))
    for name in sorted(locks):
        if name not in seen:
            unknown.append("%s %s" % (name, locks[name]))
    if req["exclude"]:
        sack.add_excludes(sack.query().filterm(name=req["exclude"]))
    return unknown


def install(base, req):
    missing = []
    for item in req["install"]:
        try:
            base.install(item["spec"], reponame=item.get("repo") or None, strict=True)
        except dnf.exceptions.Error as err:
            missing.append({"spec": item["spec"], "why": str(err)})
    return missing


def describe(pkg):
    kind, digest = binary_checksum(pkg)
    return {
        "name": pkg.name, "epoch": str(pkg.epoch), "version": pkg.version,
        "release": pkg.release, "arch": pkg.arch, "repo": pkg.repoid,
        "sourcerpm": pkg.sourcerpm or "", "buildtime": int(pkg.buildtime), "size": pkg.downloadsize,
        "checksum": "%s:%s" % (kind, digest.hex() if isinstance(digest, bytes) else digest),
        "path": pkg.localPkg(),
    }


def main():
    req = json.load(sys.stdin)
    answer = {"packages": [], "missing": [], "problem": "", "failure": "", "unmatched_locks": [], "repos": {}, "unsigned": []}
    base = dnf.Base()
    try:
        configure(base, req)
        load_repos(base, req)
        answer["unmatched_locks"] = apply_locks(base, req)
        answer["missing"] = install(base, req)
        if not answer["missing"]:
            base.resolve()
            chosen = sorted(base.transaction.install_set)
            if req["download"]:
                # Files of a local repository are copied and verified by the caller.
                remote = [p for p in chosen if not p.remote_location(("file",)) and not complete(p)]
                if remote:
                    base.download_packages(remote)
                answer["unsigned"] = check_signatures(base, chosen)
            answer["packages"] = [describe(p) for p in chosen]
        for repo in base.repos.iter_enabled():
            answer["repos"][repo.id] = int(repo._repo.getTimestamp())
    except dnf.exceptions.DepsolveError as err:
        answer["problem"] = str(err)
    except dnf.exceptions.Error as err:
        answer["failure"] = str(err)
    finally:
        base.close()
    json.dump(answer, sys.stdout)


def complete(pkg):
    """Tells whether the file is here already and is what the metadata says."""
    path = pkg.localPkg()
    return os.path.exists(path) and pkg.verifyLocalPkg()


def check_signatures(base, chosen):
    bad = []
    for pkg in chosen:
        if not base.repos[pkg.repoid].gpgcheck:
            continue
        result, why = base.package_signature_check(pkg)
        if result == 1:
            try:
                base.package_import_key(pkg, fullaskcb=lambda _: True)
                result, why = base.package_signature_check(pkg)
            except dnf.exceptions.Error as err:
                why = str(err)
        if result != 0:
            bad.append("%s: %s" % (pkg, why))
    return bad


main()
