#!/usr/bin/env bash
# snapshot.sh GORELEASER CYCLONEDX: makes the files of a release from this commit, in dist/, with these tools at these versions.
set -euo pipefail

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
GOBIN=$tools go install "$1"
GOBIN=$tools go install "$2"
export PATH=$tools:$PATH
goreleaser check
goreleaser release --snapshot --clean --skip=publish
