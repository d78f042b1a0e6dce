#!/usr/bin/env bash
# notes.sh VERSION: prints the section of CHANGELOG.md about a version.
set -euo pipefail

awk -v version="$1" '
	/^## / { inside = ($0 ~ "^## \\[?" version "\\]?( |$)"); if (inside) { found = 1; next } }
	inside
	END { if (!found) { print "CHANGELOG.md has no section about " version > "/dev/stderr"; exit 1 } }
' "$(dirname "$0")/../CHANGELOG.md"
