#!/usr/bin/env bash
# Runs gofmt, go vet, staticcheck, errcheck, revive, the checks of unused code and of licences, and go mod tidy; if they are
# installed, also ESLint, shellcheck and shfmt.
set -euo pipefail
cd "$(dirname "$0")/.."

unformatted=$(git ls-files -z '*.go' | xargs -0 gofmt -l)
if [ -n "$unformatted" ]; then
	echo "these files are not formatted by gofmt:" >&2
	echo "$unformatted" >&2
	exit 1
fi
go vet ./...
go tool -modfile=tools/go.mod staticcheck ./...
go tool -modfile=tools/go.mod errcheck -ignoretests -exclude tools/errcheck.txt ./...
go tool -modfile=tools/go.mod revive -config tools/revive.toml -exclude web/node_modules/... ./...
unused=$(go tool -modfile=tools/go.mod deadcode -test ./... | grep -v 'unreachable func: Example' || true) # examples are documentation
if [ -n "$unused" ]; then
	echo "this code is never used:" >&2
	echo "$unused" >&2
	exit 1
fi
go -C tools vet ./...
go -C tools/collector vet ./...
go -C tools run ./licences
go mod tidy -diff
go -C tools mod tidy -diff
go -C tools/collector mod tidy -diff
mapfile -t shell < <(git ls-files '*.sh' '.ci/run')
if command -v shellcheck >/dev/null 2>&1; then
	shellcheck "${shell[@]}"
fi
if command -v shfmt >/dev/null 2>&1; then
	shfmt -d "${shell[@]}"
fi
if command -v npm >/dev/null 2>&1; then
	scripts/web.sh packages
	(cd web && npm run --silent lint)
fi
