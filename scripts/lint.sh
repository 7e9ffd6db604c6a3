#!/usr/bin/env bash
# gofmt, go vet, staticcheck, go mod tidy, and where installed shellcheck and shfmt.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "== lint"
unformatted=$(git ls-files -z '*.go' | xargs -0 gofmt -l)
if [ -n "$unformatted" ]; then
	echo "gofmt differs:" >&2
	echo "$unformatted" >&2
	exit 1
fi
go vet ./...
go tool -modfile=tools/go.mod staticcheck ./...
go mod tidy -diff
mapfile -t shell < <(git ls-files '*.sh' '.ci/run')
if command -v shellcheck >/dev/null 2>&1; then
	shellcheck "${shell[@]}"
fi
if command -v shfmt >/dev/null 2>&1; then
	shfmt -d "${shell[@]}"
fi
