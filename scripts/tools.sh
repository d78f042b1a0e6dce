#!/usr/bin/env bash
# Sees to what the tests need beside Go: redis-server, PostgreSQL, PgBouncer, HAProxy, nginx, Caddy, promtool of Prometheus, Chromium for
# the pages, and gcc for the race detector.
# Where apt has chromium-headless-shell (Debian does, Ubuntu does not) it is installed beside Chromium: tests of pages then take half of
# the processor time, and need Chromium itself for little.
# What is missing is installed through apt where there is apt and the right to use it (root, or sudo that asks nothing).
# What it did, or could not do, it says; it never fails, because the tests skip what they cannot run and list it.
set -euo pipefail

missing=()
command -v redis-server >/dev/null || missing+=(redis-server)
command -v "${CC:-gcc}" >/dev/null || missing+=(gcc libc6-dev)
command -v haproxy >/dev/null || missing+=(haproxy)
command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || missing+=(nginx-light)
command -v caddy >/dev/null || missing+=(caddy)
command -v promtool >/dev/null || missing+=(prometheus)
command -v chromium >/dev/null || missing+=(chromium)
command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ] || missing+=(pgbouncer)

wants_shell() { [ ! -x /usr/lib/chromium/chromium-headless-shell ] && [ -n "$(apt-cache search --names-only '^chromium-headless-shell$' 2>/dev/null)" ]; }
[ ${#missing[@]} -eq 0 ] && ! wants_shell && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
	as_root=(sudo -n)
	sudo -n true 2>/dev/null || as_root=(false)
fi

if ! command -v apt-get >/dev/null || [ "${as_root[*]}" = false ]; then
	[ ${#missing[@]} -eq 0 ] || echo "tools: missing: ${missing[*]}. Please install by hand; until then the tests that need them are skipped."
	exit 0
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o=Dpkg::Use-Pty=0 "$@" >>"$log" 2>&1; }
install() { apt install -y --no-install-recommends "$@" && echo "tools: installed through apt: $*"; }
apt update || true # what is in the lists already may do
if [ ${#missing[@]} -gt 0 ] && ! install "${missing[@]}"; then
	tail -n 5 "$log"
	echo "tools: apt could not install ${missing[*]}. Until they are there the tests that need them are skipped."
fi
if wants_shell && ! install chromium-headless-shell; then
	tail -n 5 "$log"
	echo "tools: apt could not install chromium-headless-shell. Until it is there the tests of pages use Chromium, and take longer."
fi
