#!/bin/sh
# After the package was removed. Only `apt purge` removes the configuration, the keys and the data.
set -eu

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
if [ "${1:-}" = purge ]; then
	rm -rf /etc/watchword /var/lib/watchword
	if getent passwd watchword >/dev/null; then userdel watchword; fi
	if getent group watchword >/dev/null; then groupdel watchword; fi
fi
