#!/usr/bin/env bash
# gotest.sh ARGUMENTS: go test with these arguments, through gotestsum: a line for each package as it ends, the output of
# what failed, and at the end what was skipped and why. Where gotestsum cannot be fetched (no network) it is go test alone.
set -euo pipefail

gotestsum=gotest.tools/gotestsum@v1.13.0

if [[ " $* " != *" -race "* ]]; then
	echo "test: no C compiler, so the race detector is NOT on."
fi

bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
if GOBIN=$bin go install "$gotestsum" 2>/dev/null; then
	"$bin/gotestsum" --format pkgname --format-hide-empty-pkg -- "$@"
else
	echo "test: $gotestsum cannot be fetched here; the tests that are skipped are not listed."
	go test "$@"
fi
