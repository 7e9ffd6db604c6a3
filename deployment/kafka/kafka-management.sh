#!/usr/bin/env bash
# Manages the Kafka infrastructure of smartlb. Each command maps to a command
# of `smartlb kafka`. This script finds or builds the binary and passes the
# arguments to it. Clients connect to KAFKA_BROKER if it is set.
set -euo pipefail

# real prints a path after resolving symbolic links in its last part.
real() {
	local path="$1" target
	while [[ -L "${path}" ]]; do
		target="$(readlink "${path}")"
		[[ "${target}" == /* ]] || target="$(dirname "${path}")/${target}"
		path="${target}"
	done
	printf '%s' "${path}"
}

here="$(cd "$(dirname "$(real "${BASH_SOURCE[0]}")")" && pwd)"
root="$(cd "${here}/../.." && pwd)"

usage() {
	cat <<-'END'
		Usage: kafka-management.sh COMMAND [ARGUMENTS]

		Services
		  start                                   start the local stack, wait until it is healthy
		  stop                                    stop the local stack
		  restart                                 stop and start the local stack
		  status                                  show running services; exit code 10 if a required one is down
		  logs [SERVICE]                          print the log of a service

		Topics
		  init-topics                             create the topics of topics.yaml
		  topics                                  list topics
		  create-topic NAME [PARTITIONS [RF]]     create a topic
		  describe-topic TOPIC                    show partitions, offsets, configuration
		  produce TOPIC MESSAGE                   send a message
		  consume TOPIC N                         print the last N messages

		Consumer groups
		  groups                                  list consumer groups
		  describe-group GROUP                    show members, offsets, lag

		The stack has Kafka and the web UI; with Java 17 also ZooKeeper and Kafka Connect.
		Services of the logs: kafka, kafka-ui, zookeeper, connect, supervisor.

		Every command accepts --help and the flags of its `smartlb kafka` command.
		For all commands, see smartlb kafka --help.
	END
}

say() { printf '%s\n' "$*" >&2; }

# find_binary prints the path of the binary. It tries SMARTLB_BIN, the folder of
# this script, bin/ of this checkout and PATH, and then builds bin/smartlb.
find_binary() {
	if [[ -n "${SMARTLB_BIN:-}" ]]; then
		printf '%s' "${SMARTLB_BIN}"
	elif [[ -x "${here}/smartlb" && ! -d "${here}/smartlb" ]]; then
		printf '%s' "${here}/smartlb"
	elif [[ -x "${root}/bin/smartlb" ]]; then
		printf '%s' "${root}/bin/smartlb"
	elif type -P smartlb; then
		return
	else
		build
	fi
}

build() {
	if [[ ! -f "${root}/go.mod" ]]; then
		say "smartlb is neither in ${here} nor in PATH; set SMARTLB_BIN to its path"
		return 1
	fi
	if ! command -v go >/dev/null; then
		say "smartlb is neither in ${root}/bin nor in PATH, and Go is not installed to build it"
		return 1
	fi
	say "building ${root}/bin/smartlb ..."
	(cd "${root}" && go build -o bin/smartlb ./cmd/smartlb) >&2
	printf '%s' "${root}/bin/smartlb"
}

kafka() {
	local binary
	binary="$(find_binary)"
	exec "${binary}" kafka "$@"
}

start() { kafka start "$@"; }
stop() { kafka stop "$@"; }
restart() { kafka restart "$@"; }
status() { kafka status "$@"; }
logs() { kafka logs "$@"; }
init_topics() { kafka apply --create-only "$@"; }
topics() { kafka topics list "$@"; }
describe_topic() { kafka topics describe "$@"; }
produce() { kafka produce "$@"; }
consume() { kafka consume "$@"; }
groups() { kafka groups list "$@"; }
describe_group() { kafka groups describe "$@"; }

# create_topic takes partitions and replicas as arguments: NAME [PARTITIONS [REPLICAS]].
create_topic() {
	local -a arguments=()
	local -a flags=(-p -r)
	while (($# > 0)) && [[ "${1}" != -* ]]; do
		if ((${#arguments[@]} == 0)); then
			arguments+=("$1")
		elif ((${#flags[@]} > 0)); then
			arguments+=("${flags[0]}" "$1")
			flags=("${flags[@]:1}")
		else
			say "create-topic NAME [PARTITIONS [REPLICAS]]: unexpected argument '${1}'"
			return 2
		fi
		shift
	done
	kafka topics create "${arguments[@]}" "$@"
}

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
