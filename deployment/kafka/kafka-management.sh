#!/usr/bin/env bash
# Manages the Kafka infrastructure of smartlb. Each command is a verb of
# `smartlb kafka`; this script finds the binary, or builds it, and passes the
# words on. Clients connect to KAFKA_BROKER when it is set.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "${here}/../.." && pwd)"

usage() {
	cat <<-'END'
		Usage: kafka-management.sh COMMAND [ARGUMENTS]

		Services
		  start                                   start Kafka and the web UI, wait until healthy
		  stop                                    stop it
		  restart                                 stop and start it
		  status                                  what runs; exit code 10 when Kafka is down
		  logs [SERVICE]                          print the log of a service (kafka, kafka-ui)

		Topics
		  init-topics                             create the topics of topics.yaml
		  topics                                  list topics
		  create-topic NAME PARTITIONS REPLICAS   create a topic
		  describe-topic TOPIC                    partitions, offsets, configuration
		  produce TOPIC MESSAGE                   send a message
		  consume TOPIC N                         print the last N messages

		Consumer groups
		  groups                                  list consumer groups
		  describe-group GROUP                    members, offsets, lag

		Every command takes --help and the flags of `smartlb kafka COMMAND`.
	END
}

say() { printf '%s\n' "$*" >&2; }

# find_binary prints the path of the binary: SMARTLB_BIN, bin/ of this checkout,
# PATH, or else a fresh build into bin/.
find_binary() {
	if [[ -n "${SMARTLB_BIN:-}" ]]; then
		printf '%s' "${SMARTLB_BIN}"
	elif [[ -x "${root}/bin/smartlb" ]]; then
		printf '%s' "${root}/bin/smartlb"
	elif type -P smartlb; then
		return
	else
		build
	fi
}

build() {
	if ! command -v go >/dev/null; then
		say "smartlb is neither in ${root}/bin nor in PATH, and there is no Go to build it with."
		return 1
	fi
	say "building ${root}/bin/smartlb ..."
	(cd "${root}" && go build -o bin/smartlb ./cmd/smartlb) >&2
	printf '%s' "${root}/bin/smartlb"
}

kafka() {
	local binary
	binary="$(find_binary)"
	"${binary}" kafka "$@"
}

start() { kafka start "$@"; }
stop() { kafka stop "$@"; }
restart() { kafka restart "$@"; }
status() { kafka status "$@"; }
logs() { kafka logs "$@"; }
init_topics() { kafka init-topics "$@"; }
topics() { kafka topics "$@"; }
create_topic() { kafka create-topic "$@"; }
describe_topic() { kafka describe-topic "$@"; }
produce() { kafka produce "$@"; }
consume() { kafka consume "$@"; }
groups() { kafka groups "$@"; }
describe_group() { kafka describe-group "$@"; }

main() {
	local verb="${1:-help}"
	shift || true
	case "${verb}" in
	start | stop | restart | status | logs | topics | produce | consume | groups) "${verb}" "$@" ;;
	init-topics) init_topics "$@" ;;
	create-topic) create_topic "$@" ;;
	describe-topic) describe_topic "$@" ;;
	describe-group) describe_group "$@" ;;
	help | -h | --help) usage ;;
	*)
		say "kafka-management.sh: there is no command '${verb}'"
		usage >&2
		return 2
		;;
	esac
}

main "$@"
