#!/usr/bin/env bash
# Builds the web UI into internal/console/ui/dist, unless the result there is
# newer than its sources. Without Node it prints how to get the UI and succeeds;
# the binary then serves a page with the same hint. `web.sh packages` only
# installs the npm packages.
set -euo pipefail
cd "$(dirname "$0")/.."

out=internal/console/ui/dist/index.html
if [ ! -f web/package.json ]; then
	exit 0
fi
if ! command -v npm >/dev/null 2>&1; then
	echo "npm is not installed: building without the web UI; to include it, install Node.js 20 or newer" >&2
	exit 0
fi
if [ "${1:-}" != packages ] && [ -f "$out" ] && [ -z "$(find web api/openapi.yaml -path web/node_modules -prune -o -path web/dist -prune -o -path web/test-results -prune -o -type f -newer "$out" -print -quit)" ]; then
	exit 0
fi
cd web
if [ ! -d node_modules ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
	echo "web UI: installing packages" >&2
	npm ci --no-audit --no-fund --fetch-retries=5 --loglevel=error
fi
if [ "${1:-}" = packages ]; then
	exit 0
fi
echo "web UI: building" >&2
npm run --silent build
