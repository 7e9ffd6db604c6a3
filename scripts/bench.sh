#!/usr/bin/env bash
# Measures CPU per request, the idle demo, the Kafka stack and routing, and writes pages to
# bench/results. Needs Linux, haproxy, nginx and wrk; uses perf if installed.
# Takes about half an hour. To run only some parts, name them: scripts/bench.sh cpu
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in haproxy nginx wrk; do
	command -v "$tool" >/dev/null || {
		echo "bench: $tool is not installed" >&2
		exit 1
	}
done
[ -x bin/smartlb ] || CGO_ENABLED=0 go build -o bin/smartlb ./cmd/smartlb

parts=("$@")
[ "${#parts[@]}" -gt 0 ] || parts=(cpu idle start routing)
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
for part in "${parts[@]}"; do
	echo "== bench/$part"
	go build -o "$built/$part" "./bench/$part"
	if [[ "$part" = routing || "$part" = start ]] && chrt --rr 1 true 2>/dev/null; then
		chrt --rr 1 "$built/$part" # so that other processes on the machine do not look like queueing
	else
		"$built/$part"
	fi
done
