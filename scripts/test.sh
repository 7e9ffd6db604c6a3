#!/usr/bin/env bash
# Runs every test that this machine can run. With Go alone that is enough to
# pass; what was left out for want of a tool is said at the end. With CI=true
# nothing may be left out.
set -euo pipefail
cd "$(dirname "$0")/.."

left_out=()
missing() { left_out+=("$1 (for want of $2)"); }

race=()
if command -v gcc >/dev/null 2>&1 || command -v clang >/dev/null 2>&1; then
	race=(-race)
else
	missing "the race detector" "a C compiler"
fi
command -v kcat >/dev/null 2>&1 || missing "kcat as a foreign client" "kcat"
command -v strace >/dev/null 2>&1 || missing "counting system calls per request" "strace"
for tool in java mvn; do
	command -v "$tool" >/dev/null 2>&1 || missing "real ZooKeeper, Kafka and Kafka Connect" "$tool"
done
command -v javac >/dev/null 2>&1 || missing "Apache's client as a foreign client" "a JDK"
python3 -c 'import ensurepip' >/dev/null 2>&1 || missing "librdkafka as a foreign client" "Python 3 with venv"
command -v chromium >/dev/null 2>&1 || missing "the console in a browser" "chromium"
command -v npm >/dev/null 2>&1 || missing "the web UI's own checks" "Node.js"
command -v shellcheck >/dev/null 2>&1 || missing "shellcheck of the scripts" "shellcheck"
command -v shfmt >/dev/null 2>&1 || missing "shfmt of the scripts" "shfmt"

scripts/lint.sh
scripts/web.sh

# Properties are drawn from one seed in CI, so that a run can be repeated; at
# home from the clock, so that every run looks somewhere else. make soak looks long.
mapfile -t properties < <(git grep -l --untracked 'pgregory.net/rapid' -- '*_test.go' | xargs -n1 dirname | sort -u | sed 's|^|./|')
mapfile -t others < <(go list -f '{{.Dir}}' ./... | sed "s|^$PWD|.|" | grep -vxF -f <(printf '%s\n' "${properties[@]}"))
seed=()
[ "${CI:-}" = true ] && seed=(-rapid.seed=1)

echo "== properties${race[*]:+ with the race detector}"
go test "${race[@]}" -timeout 25m "${properties[@]}" "${seed[@]}"
# Tests with whole processes and browsers mostly wait: three at a time, also on two cores.
echo "== tests${race[*]:+ with the race detector}"
go test "${race[@]}" -timeout 50m -parallel 3 "${others[@]}"

echo "== the portable data plane (build tag smartlb_portable)"
go test -tags smartlb_portable -timeout 10m ./internal/dataplane/proxy/...

echo "== darwin compiles"
GOOS=darwin GOARCH=arm64 go build -o /dev/null ./cmd/smartlb

if [ ${#left_out[@]} -gt 0 ]; then
	echo
	echo "left out on this machine:"
	printf '  - %s\n' "${left_out[@]}"
	if [ "${CI:-}" = true ]; then
		echo "with CI=true nothing may be left out" >&2
		exit 1
	fi
fi
