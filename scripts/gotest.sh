#!/usr/bin/env bash
# gotest.sh ARGUMENTS: go test with the race detector where there is a C compiler, and a list of what was skipped and
# why. The output of a package is shown when it failed; go test's own lines come last.
set -euo pipefail

race=-race
if ! command -v "${CC:-gcc}" >/dev/null; then
	race=
	echo "test: no C compiler, so the race detector is NOT on."
fi

# shellcheck disable=SC2086 # an empty $race is no argument
go test -v $race "$@" 2>&1 | awk '
	# What t.Skip says comes before the line that says SKIP, with lines of other tests in between.
	/^=== (RUN|CONT|NAME) /          { test = $3 }
	/^ *[A-Za-z0-9_]+\.go:[0-9]+: /  { said[test] = $0; sub(/^ *[A-Za-z0-9_]+\.go:[0-9]+: /, "", said[test]) }
	/^ *--- SKIP: /                  { skipped[++skips] = $3; because[skips] = said[$3] }
	/^ok  \t/ || /^\?   \t/ || /^\t/ { results[++lines] = $0; output = ""; next }
	/^FAIL\t/                        { printf "%s", output; results[++lines] = $0; output = ""; next }
	/^(=== |PASS$|FAIL$)/ || /^ *--- (PASS|SKIP): / { next }
	                                 { output = output $0 "\n" }
	END {
		printf "%s", output
		for (i = 1; i <= skips; i++) print "skipped: " skipped[i] ": " because[i]
		if (!skips) print "skipped: nothing"
		for (i = 1; i <= lines; i++) print results[i]
	}'
