#!/bin/sh
# Makes a Debian system into an assembler: installs the packages that are missing,
# adds the user, and removes all that differs from one build to the next.
set -eu
export DEBIAN_FRONTEND=noninteractive

arch=$(dpkg --print-architecture)
missing=
while read -r package only; do
	case $package in '' | '#'*) continue ;; esac
	case $only in '' | "[$arch]") ;; *) continue ;; esac
	status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$status" = installed ] || missing="$missing $package"
done <"$(dirname "$0")/packages"
if [ -n "$missing" ]; then
	apt-get update
	# shellcheck disable=SC2086 # a list of words
	apt-get install -y --no-install-recommends $missing
fi

useradd --create-home --uid 1000 --shell /bin/bash builder
echo 'builder ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/builder
chmod 0440 /etc/sudoers.d/builder
mkdir -p /srv
chown builder: /srv

apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache \
	/var/lib/dpkg/*-old /var/log/* /etc/machine-id \
	/etc/passwd- /etc/shadow- /etc/group- /etc/gshadow- /etc/subuid- /etc/subgid- \
	/var/lib/systemd/random-seed /tmp/* /var/tmp/*
