#!/usr/bin/env bash
# Runs each fuzz target for FUZZ_TIME (default 2m) and the property tests with
# many more cases, then the soak of test/soak for SOAK_TIME (default 1h). Go writes
# failing inputs to testdata/fuzz; commit them.
set -euo pipefail
cd "$(dirname "$0")/.."

time=${FUZZ_TIME:-2m}
grep -rl --include='*_test.go' '^func Fuzz' internal report | xargs -n1 dirname | sort -u | while read -r dir; do
	grep -ho '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go | cut -d' ' -f2 | while read -r target; do
		echo "== $dir $target for $time"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 20x "./$dir"
	done
done
echo "== properties"
go test -rapid.checks=20000 -timeout 60m ./internal/dataplane/picker ./internal/dataplane/router ./internal/dataplane/upstream ./internal/dataplane/dispatch ./internal/dataplane/guard
echo "== valid and damaged requests of every kind to the embedded broker"
SMARTLB_SOAK=1 go test -count=1 -timeout 30m ./internal/stack/broker -run TestRequestsOfEveryKind
echo "== 1,000 kills of the embedded broker"
go test -count=1 -timeout 60m -v ./test/crash -run TestNothingAcknowledgedIsLostOverKills -kills "${KILLS:-1000}" -seed "${SEED:-$RANDOM}"
echo "== reloads, kills of instances and upgrades under load"
go test -count=1 -timeout 24h -v ./test/soak -for "${SOAK_TIME:-1h}"
