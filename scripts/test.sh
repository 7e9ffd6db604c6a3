#!/usr/bin/env bash
# Runs every test that this machine can run. Go alone is enough to pass. Tests
# whose tools are not installed are skipped and listed at the end. With CI=true
# a skipped test is an error.
set -euo pipefail
cd "$(dirname "$0")/.."

left_out=()
missing() { left_out+=("$1 (needs $2)"); }

race=()
if command -v gcc >/dev/null 2>&1 || command -v clang >/dev/null 2>&1; then
	race=(-race)
else
	missing "the race detector" "a C compiler"
fi
command -v kcat >/dev/null 2>&1 || missing "tests with kcat as a client" "kcat"
command -v strace >/dev/null 2>&1 || missing "counting system calls per request" "strace"
for tool in java mvn; do
	command -v "$tool" >/dev/null 2>&1 || missing "real ZooKeeper, Kafka and Kafka Connect" "$tool"
done
command -v javac >/dev/null 2>&1 || missing "tests with Apache's Java client" "a JDK"
python3 -c 'import ensurepip' >/dev/null 2>&1 || missing "tests with librdkafka as a client" "Python 3 with venv"
command -v chromium >/dev/null 2>&1 || missing "the console in a browser" "chromium"
command -v npm >/dev/null 2>&1 || missing "the web UI's own checks" "Node.js"
command -v promtool >/dev/null 2>&1 || missing "metrics, rules and dashboards with a real Prometheus" "prometheus"
command -v dnsmasq >/dev/null 2>&1 || missing "names of a DNS server that others wrote" "dnsmasq"
command -v prometheus-alertmanager >/dev/null 2>&1 || missing "alerts in a real Alertmanager" "prometheus-alertmanager"
command -v etcd >/dev/null 2>&1 || missing "a real API server of Kubernetes" "etcd-server"
command -v shellcheck >/dev/null 2>&1 || missing "shellcheck of the scripts" "shellcheck"
command -v shfmt >/dev/null 2>&1 || missing "shfmt of the scripts" "shfmt"

scripts/web.sh

# beside NAME COMMAND ... starts a command that runs beside the others, in a process group of its own. Its output comes at
# the end.
names=() pids=() outputs=()
end_beside() {
	for pid in "${pids[@]}"; do kill -- "-$pid" 2>/dev/null || true; done
	rm -f "${outputs[@]}"
}
trap end_beside EXIT
beside() {
	names+=("$1")
	outputs+=("$(mktemp)")
	set -m
	"${@:2}" >"${outputs[-1]}" 2>&1 &
	pids+=("$!")
	set +m
}
passed=true
check() { "$@" || passed=false; } # a failure does not hide those of later steps
step() { echo "== $1, from $((SECONDS / 60)) min $((SECONDS % 60)) s"; }

# The first build of kube-apiserver takes minutes. Its test comes late, and waits for it.
if command -v etcd >/dev/null 2>&1; then
	beside "building kube-apiserver" nice go run -C test/kubernetes ./build
fi
# Tests with processes and browsers mostly wait and take the longest.
beside "processes and browsers${race[*]:+, with the race detector}" go test "${race[@]}" -timeout 50m -parallel 4 ./test/e2e
slow=(./test/soak ./test/crash ./test/hostile)
beside "a soak, kills, hostile input${race[*]:+, with the race detector}" go test "${race[@]}" -timeout 25m -p 2 "${slow[@]}"

step "lint"
scripts/lint.sh

# Property tests run once without the race detector, which makes a case five times as long and finds its races in the first
# cases. Coverage of these packages is measured there too: with the race detector, it makes a test three times as long.
# In CI, property tests use one fixed seed, so that a run can be repeated. Elsewhere the seed comes from the clock, so that
# every run tests other cases. make soak runs them for a long time.
mapfile -t properties < <(git grep -l --untracked 'pgregory.net/rapid' -- '*_test.go' | xargs -n1 dirname | sort -u | sed 's|^|./|')
mapfile -t others < <(go list -f '{{.Dir}}' ./... | sed "s|^$PWD|.|" | grep -vxF -f <(printf '%s\n' ./test/e2e "${slow[@]}" "${properties[@]}"))
seed=()
[ "${CI:-}" = true ] && seed=(-rapid.seed=1)

step "packages with properties"
check go test -p 4 -cover -timeout 10m "${properties[@]}" "${seed[@]}"
beside "the data plane over TLS" go test -timeout 20m ./internal/dataplane/proxy -tls
if [ ${#race[@]} -gt 0 ]; then
	step "the same packages with the race detector, a tenth of the cases"
	check go test -p 4 "${race[@]}" -timeout 25m "${properties[@]}" -rapid.checks=10 "${seed[@]}"
fi
step "all other packages${race[*]:+ with the race detector}"
check go test -p 4 "${race[@]}" -cover -timeout 25m "${others[@]}"

step "the portable data plane (build tag smartlb_portable)"
check go test -tags smartlb_portable -timeout 10m ./internal/dataplane/proxy/...

step "what the race detector hides or slows down: the largest texts"
check go test -timeout 10m -run '^TestTheStackStaysSmall$' ./internal/base/yamlsafe

step "fuzzing what clients send, 20 s each"
fuzz() {
	local target output failed=0
	output=$(mktemp)
	for target in "$@"; do
		# go test sometimes reports the end of -fuzztime itself as a failure. Then no input failed, and none is written.
		go test -run '^$' -fuzz "^${target#*:}\$" -parallel 1 -fuzztime 20s -fuzzminimizetime 20x "./internal/dataplane/${target%:*}" >"$output" 2>&1 ||
			{ grep -q '^    context deadline exceeded$' "$output" && ! grep -q 'Failing input written' "$output"; } || failed=1
		cat "$output"
	done
	rm -f "$output"
	return $failed
}
beside "fuzzing HTTP/2" fuzz h2:FuzzConn h2:FuzzHead
check fuzz proxyproto:FuzzParse certs:FuzzHello

step "darwin compiles"
check env GOOS=darwin GOARCH=arm64 go build -o /dev/null ./cmd/smartlb

for i in "${!pids[@]}"; do
	wait "${pids[i]}" || passed=false
	step "the end of: ${names[i]}"
	cat "${outputs[i]}"
done
$passed || exit 1

if [ ${#left_out[@]} -gt 0 ]; then
	echo
	echo "skipped on this machine:"
	printf '  - %s\n' "${left_out[@]}"
	if [ "${CI:-}" = true ]; then
		echo "tests were skipped; with CI=true every test must run" >&2
		exit 1
	fi
fi
