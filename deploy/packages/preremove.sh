#!/bin/sh
# Before the package is removed, not before it is upgraded (Debian: "upgrade", RPM: 1).
set -eu

case "${1:-}" in
upgrade | 1) exit 0 ;;
esac
if [ -d /run/systemd/system ]; then
	systemctl disable --now watchword.service || true
fi
