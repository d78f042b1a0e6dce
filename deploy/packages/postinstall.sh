#!/bin/sh
# After the package was installed or upgraded: the user of the server and its folders. A server that runs is restarted.
set -eu

getent group watchword >/dev/null || groupadd --system watchword
getent passwd watchword >/dev/null ||
	useradd --system --gid watchword --home-dir /var/lib/watchword --no-create-home --shell /usr/sbin/nologin watchword
install -d -o root -g watchword -m 0750 /etc/watchword
install -d -o watchword -g watchword -m 0700 /etc/watchword/keys
install -d -o watchword -g watchword -m 0700 /var/lib/watchword

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl try-restart watchword.service || true
fi
