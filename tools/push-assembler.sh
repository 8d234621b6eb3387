#!/bin/bash
# Pushes the assembler image of both architectures to the registry of GitHub:
#
#   push-assembler.sh DIRECTORY
#
# DIRECTORY has assembler-ARCH/assembler.oci.tar. The images are pushed by tag and
# architecture, then as one index under the tag; outputs are its name and digest.
set -euo pipefail

dir=${1:?usage: push-assembler.sh DIRECTORY}
name=${REGISTRY:-ghcr.io}/${GITHUB_REPOSITORY_OWNER,,}/nosa-assembler
[[ $TAG =~ ^[0-9A-Za-z_][0-9A-Za-z._-]{0,100}$ ]] || { echo "::error::$TAG is no name for an image's tag"; exit 1; }

auth=$(mktemp)
trap 'rm -f "$auth"' EXIT
export REGISTRY_AUTH_FILE=$auth
if [ -n "${REGISTRY_TOKEN:-}" ]; then
	skopeo login --username "$GITHUB_ACTOR" --password-stdin "${name%%/*}" <<<"$REGISTRY_TOKEN"
fi
images=()
for arch in amd64 arm64; do
	skopeo copy --retry-times 3 ${INSECURE:+--dest-tls-verify=false} --digestfile "$auth.digest" \
		"oci-archive:$dir/assembler-$arch/assembler.oci.tar" "docker://$name:$TAG-$arch"
	images+=("docker://$name@$(cat "$auth.digest")")
done
podman manifest rm nosa-assembler 2>/dev/null || true
podman manifest create nosa-assembler >/dev/null
for image in "${images[@]}"; do
	podman manifest add ${INSECURE:+--tls-verify=false} nosa-assembler "$image" >/dev/null
done
podman manifest push ${INSECURE:+--tls-verify=false} --all --digestfile "$auth.digest" nosa-assembler "docker://$name:$TAG"
digest=$(cat "$auth.digest")
rm -f "$auth.digest"
echo "name=$name" >>"$GITHUB_OUTPUT"
echo "digest=$digest" >>"$GITHUB_OUTPUT"
echo "$name@$digest" | tee -a "${GITHUB_STEP_SUMMARY:-/dev/null}"
