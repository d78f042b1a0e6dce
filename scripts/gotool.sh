#!/usr/bin/env bash
# gotool.sh MODULE/PATH@VERSION ARGUMENTS: runs a tool that is written in Go, fetched at exactly that version. What the
# tool finds is fatal; that it cannot be fetched (no network) is printed and is not. TOOLFLAGS are go flags for the
# tool while it runs.
set -euo pipefail

tool=$1
shift
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
if ! GOBIN=$bin go install "$tool" 2>"$bin/log"; then
	tail -n 3 "$bin/log"
	echo "lint: $tool cannot be fetched or built here, so it was NOT run."
	exit 0
fi
rm "$bin/log"
GOFLAGS="$(go env GOFLAGS) ${TOOLFLAGS:-}" "$bin"/* "$@"
