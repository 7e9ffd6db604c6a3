#!/usr/bin/env bash
# Checks code and dependencies against the Go vulnerability database. It fails
# if the code calls a function with a known vulnerability.
#
#   scripts/vulncheck.sh [PACKAGE ...]                  default ./...
#   GOVULNDB=file:///srv/vulndb scripts/vulncheck.sh    a copy of the database, for machines without access to it
#   VULNCHECK=off                                       skips the check and prints a message
set -euo pipefail
cd "$(dirname "$0")/.."

version=v1.9.0
packages=("$@")
[ ${#packages[@]} -gt 0 ] || packages=(./...)
if [ "${VULNCHECK:-on}" = off ]; then
	echo "vulnerabilities are not checked: VULNCHECK=off" >&2
	exit 0
fi
database="${GOVULNDB:-https://vuln.go.dev}"
echo "== vulnerabilities, from ${database}" >&2
if ! go run "golang.org/x/vuln/cmd/govulncheck@${version}" -db "${database}" "${packages[@]}"; then
	echo "govulncheck found a vulnerability or cannot read ${database}; to use a copy of the database, set GOVULNDB=file:///FOLDER" >&2
	exit 1
fi
