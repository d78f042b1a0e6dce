#!/usr/bin/env bash
# packages.sh GORELEASER: makes the packages of two versions of this commit, for this machine's processor, with goreleaser at this
# version, and tries them here: TestDebianPackage installs, upgrades, goes back and purges, which needs root and dpkg.
set -euo pipefail

if [[ $(id -u) != 0 ]] || ! command -v dpkg >/dev/null; then
	echo "packages: skipped, because they are installed by root with dpkg"
	exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
GOBIN=$work/bin go install "$1"
git clone --quiet --shared . "$work/source"
sed -i "s/goos: \[.*/goos: [linux]/; s/goarch: \[.*/goarch: [$(go env GOHOSTARCH)]/" "$work/source/.goreleaser.yaml"
for version in one two; do
	git -C "$work/source" -c user.name=packages -c user.email=packages@example.com commit --quiet --allow-empty --message "$version"
	(cd "$work/source" && "$work/bin/goreleaser" release --snapshot --clean --skip=publish,archive,sbom)
	for format in deb rpm; do
		mv "$work"/source/dist/*."$format" "$work/$version.$format"
	done
done
WATCHWORD_PACKAGES=$work go test -count=1 -v -timeout 10m -run 'Package' ./internal/deploytest
