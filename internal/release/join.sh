#!/bin/sh
# Joins the files that are too large for one release asset: sh join.sh [FILE...]
# in the directory with their parts; without names, those of which a part is here.
set -eu

table() { cat <<'TABLE'; }
@TABLE@
TABLE

sum() { if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1; }

fail() {
	echo "$1" >&2
	exit 1
}

for wanted in "$@"; do
	table | cut -d' ' -f2 | grep -qxF -e "$wanted" || fail "join.sh: $wanted is no split file of this release"
done
table | while read -r want name parts; do
	case " $* " in
	"  ") [ -e "${parts%% *}" ] || continue ;;
	*" $name "*) ;;
	*) continue ;;
	esac
	for part in $parts; do
		[ -e "$part" ] || fail "$name: $part is not here; download it from the release page"
	done
	# shellcheck disable=SC2086 # a list of words
	cat $parts >"$name.joining"
	if [ "$(sum "$name.joining")" != "$want" ]; then
		rm "$name.joining"
		fail "$name: a part is damaged; download the parts again (sha256sum -c --ignore-missing SHA256SUMS tells which)"
	fi
	mv "$name.joining" "$name"
	echo "$name: joined and verified"
done
