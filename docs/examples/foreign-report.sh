#!/usr/bin/env bash
# Reports an instance once a second with nothing but kcat: no key, no library.
# Usage: foreign-report.sh SERVICE INSTANCE CPU     (CPU from 0 to 1)
set -euo pipefail

service=${1:?service id} instance=${2:?instance id} cpu=${3:?cpu usage, 0 to 1}
while true; do
	printf '{"timestamp":"%s","serviceId":"%s","instanceId":"%s","metrics":{"cpuUsage":%s}}\n' \
		"$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$service" "$instance" "$cpu"
	sleep 1
done | kcat -P -b "${KAFKA_BROKER:-localhost:9092}" -t service-metrics
