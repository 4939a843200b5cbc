#!/usr/bin/env bash
# Builds the binaries of a release, with their checksums: the same source and the same Go give the same bytes, in any
# folder and on any machine. Needs bash, Go and sha256sum.
#   release.sh FOLDER [OS/ARCH…]
set -euo pipefail
mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- {linux,darwin,windows}/{amd64,arm64}
cd "$(dirname "$0")/.."

# Whatever else changes a build has Go's default: no settings of the user, no C compiler, the base instruction set.
unset GOFLAGS GOEXPERIMENT GOFIPS140 GOOS GOARCH
export GOENV=off GOWORK=off GOTOOLCHAIN=local CGO_ENABLED=0 GOAMD64=v1 GOARM64=v8.0

version=$(go run -buildvcs=false . version | sed -n '1s/^gogpt \([^ ,]*\),.*/\1/p')
grep -qF "## [$version]" CHANGELOG.md || { echo "CHANGELOG.md has no section for version $version" >&2; exit 1; }

names=()
for target in "$@"; do
	name=gogpt-$version-${target%/*}-${target#*/}
	[ "${target%/*}" != windows ] || name+=.exe
	GOOS=${target%/*} GOARCH=${target#*/} \
		go build -trimpath -buildvcs=false -ldflags='-s -w -buildid=' -o "$folder/$name" .
	names+=("$name")
done
cp LICENSE "$folder"
cd "$folder"
sha256sum "${names[@]}" LICENSE | tee SHA256SUMS
