#!/usr/bin/env bash
# Builds archives with static binaries for linux and darwin, amd64 and arm64.
# The archives contain the web UI, the Kafka script, the systemd unit,
# completions and manual pages. Writes a file with checksums of all archives.
#
#   scripts/release.sh [FOLDER [PLATFORM ...]]     e.g. scripts/release.sh dist linux/amd64
#
# The build fails on known vulnerabilities; for an offline database, see
# scripts/vulncheck.sh. The same commit and Go version produce the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."

out="${1:-dist}"
shift || true
platforms=("$@")
[ ${#platforms[@]} -gt 0 ] || platforms=(linux/amd64 linux/arm64 darwin/amd64 darwin/arm64)

version="${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo dev)}"
epoch="$(git log -1 --format=%ct 2>/dev/null || echo 0)"
flags=(-trimpath -ldflags "-s -w -X github.com/smartlb/smartlb/internal/cli.version=${version}")
build() { CGO_ENABLED=0 go build "${flags[@]}" -o "$1" ./cmd/smartlb; }

work="$(mktemp -d)"
trap 'rm -rf "${work}"' EXIT
mkdir -p "${out}"
out="$(cd "${out}" && pwd)"

if ! command -v npm >/dev/null 2>&1; then
	echo "build release: the web UI needs npm, which is not installed; install Node.js with npm" >&2
	exit 1
fi
scripts/vulncheck.sh
scripts/web.sh

echo "== completions" >&2
build "${work}/here"
mkdir "${work}/completions"
"${work}/here" completion bash >"${work}/completions/smartlb.bash"
"${work}/here" completion zsh >"${work}/completions/_smartlb"
"${work}/here" completion fish >"${work}/completions/smartlb.fish"

echo "== manual pages" >&2
go run ./scripts/man "${work}/man/man1" "${version}" "${epoch}"

archives=()
for platform in "${platforms[@]}"; do
	name="smartlb-${version}-${platform%/*}-${platform#*/}"
	echo "== ${name}" >&2
	tree="${work}/${name}"
	mkdir -p "${tree}/bin" "${tree}/docs"
	GOOS="${platform%/*}" GOARCH="${platform#*/}" build "${tree}/bin/smartlb"
	git ls-files -z README.md CHANGELOG.md LICENSE ARCHITECTURE.md deployment docs api/schemas api/openapi.yaml |
		grep -zv '\.go$' | xargs -0 cp --parents -t "${tree}"
	cp -r "${work}/completions" "${tree}/completions"
	cp -r "${work}/man" "${tree}/man"
	tar --sort=name --mtime="@${epoch}" --owner=0 --group=0 --numeric-owner --mode='u+rwX,go=rX' -C "${work}" -cf - "${name}" |
		gzip -9n >"${out}/${name}.tar.gz"
	archives+=("${name}.tar.gz")
	rm -rf "${tree}"
done
(cd "${out}" && sha256sum "${archives[@]}" >"smartlb-${version}-SHA256SUMS")
echo "wrote ${#archives[@]} archives and smartlb-${version}-SHA256SUMS to ${out}" >&2
