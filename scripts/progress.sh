#!/usr/bin/env bash
# progress.sh NAME COMMAND...: runs a command and says that it begins and, every 15 seconds, that it goes on. The exit code
# is the command's.
set -euo pipefail

name=$1
shift
echo "$name: begins; the first time it may take minutes"
# The sleep that is left over at the end holds nobody's output open.
(while sleep 15 </dev/null >/dev/null 2>&1; do echo "$name: still running after $SECONDS s"; done) &
trap 'kill '$! EXIT
"$@"
