#!/usr/bin/env bash
# Builds the web UI into internal/console/ui/dist, where it is newer than its
# sources it is left alone. Without Node it says how to get the UI and succeeds:
# the binary then serves a page that says the same.
set -euo pipefail
cd "$(dirname "$0")/.."

out=internal/console/ui/dist/index.html
if [ ! -f web/package.json ]; then
	exit 0
fi
if ! command -v npm >/dev/null 2>&1; then
	echo "no Node.js: building without the web UI (install Node.js 20 or newer for it)" >&2
	exit 0
fi
if [ -f "$out" ] && [ -z "$(find web api/openapi.yaml -path web/node_modules -prune -o -path web/dist -prune -o -type f -newer "$out" -print -quit)" ]; then
	exit 0
fi
cd web
if [ ! -d node_modules ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
	echo "web UI: installing packages" >&2
	npm ci --no-audit --no-fund --fetch-retries=5 --loglevel=error
fi
echo "web UI: building" >&2
npm run --silent build
