"""The two messages of an instance, and the sketch of its latencies. Nothing here reads a clock."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Mapping, Sequence

SERVICE_METRICS = "service-metrics"
HEALTH_STATUS = "health-status"
HEADER_LATENCY = "smartlb-latency"

# The buckets of a DDSketch with 1 % accuracy: bucket i has latencies in (GAMMA^(i-1), GAMMA^i] milliseconds.
ACCURACY = 0.01
GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
FIRST_BUCKET = -346  # 1 us; shorter latencies count there
LAST_BUCKET = 641  # 6 minutes; longer latencies count there
FEW_BUCKETS = 32  # of a sketch


def bucket_of(ms: float) -> int:
    """Returns the bucket of a latency."""
    if not ms > 0:
        return FIRST_BUCKET
    return min(max(math.ceil(min(math.log(ms) / math.log(GAMMA), LAST_BUCKET)), FIRST_BUCKET), LAST_BUCKET)


def middle(bucket: int) -> float:
    """Returns a value within 1 % of all latencies of a bucket, in milliseconds."""
    return math.pow(GAMMA, bucket) * (1 - ACCURACY)


@dataclass
class Report:
    """The measurements since the previous report. An unknown value is None, never 0."""

    service_id: str
    instance_id: str
    time_ms: int  # since 1970
    span_ms: float  # since the previous report
    latencies: Mapping[int, int] = field(default_factory=dict)  # of requests without failure, by bucket
    errors: int = 0
    active: int = 0
    cpu: float | None = None
    memory: float | None = None
    utilization: float | None = None
    address: str | None = None
    tags: Mapping[str, str] | None = None

    def value(self) -> bytes:
        """Returns the message for the topic service-metrics."""
        successes = sum(self.latencies.values())
        requests = successes + self.errors
        metrics: dict[str, float | None] = {
            "rps": _rounded(requests / (self.span_ms / 1000), 3),
            "p95Latency": _rounded(_p95(self.latencies, successes), 3),
            "errorRate": _rounded(self.errors / requests, 6) if requests else None,
            "activeConnections": max(self.active, 0),
            "cpuUsage": _rounded(self.cpu, 4),
            "memoryUsage": _rounded(self.memory, 4),
            "utilization": _rounded(self.utilization, 4),
        }
        message = _identity(self.service_id, self.instance_id, self.address, self.time_ms)
        message["metrics"] = {name: v for name, v in metrics.items() if v is not None}
        if self.tags:
            message["tags"] = dict(self.tags)
        return _encode(message)

    def headers(self) -> list[tuple[str, bytes]]:
        """Returns the headers of the message: the sketch of the latencies, if there are any."""
        if not self.latencies:
            return []
        return [(HEADER_LATENCY, sketch(self.latencies))]


def status_value(service_id: str, instance_id: str, address: str | None, time_ms: int, status: str) -> bytes:
    """Returns the message for the topic health-status."""
    message = _identity(service_id, instance_id, address, time_ms)
    message["status"] = status
    message["checkType"] = "report"
    return _encode(message)


def _identity(service_id: str, instance_id: str, address: str | None, time_ms: int) -> dict[str, Any]:
    at = datetime.fromtimestamp(time_ms // 1000, timezone.utc)
    message: dict[str, Any] = {"timestamp": f"{at:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z", "serviceId": service_id, "instanceId": instance_id}
    if address:
        message["address"] = address
    return message


def _encode(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "replace")


def _rounded(v: float | None, digits: int) -> float | None:
    if v is None:
        return None
    scale = 10.0**digits
    return math.floor(v * scale + 0.5) / scale


def _p95(latencies: Mapping[int, int], total: int) -> float | None:
    if total == 0:
        return None
    rank = int(0.95 * (total - 1))
    for bucket in sorted(latencies):
        if rank < latencies[bucket]:
            return middle(bucket)
        rank -= latencies[bucket]
    return None


def sketch(latencies: Mapping[int, int]) -> bytes:
    """Returns the latencies in the binary encoding of DataDog/sketches-go, with at most 32 buckets."""
    ordered = sorted(latencies.items())
    size = 1 + (len(ordered) - 1) // FEW_BUCKETS
    bins: list[tuple[int, int]] = []
    for at in range(0, len(ordered), size):
        group = ordered[at : at + size]
        n = sum(count for _, count in group)
        mean = sum(middle(bucket) * count for bucket, count in group) / n
        bins.append((math.floor(math.log(mean) / math.log(GAMMA)), n))
    out = bytearray(b"\x02") + struct.pack("<dd", GAMMA, 0.0)  # logarithmic mapping, offset 0
    out += b"\x05" + _uvarint(len(bins))  # positive values: deltas of indexes, and counts
    before = 0
    for index, count in bins:
        delta = index - before
        out += _uvarint((delta << 1) ^ (delta >> 63)) + _varfloat(count)
        before = index
    return bytes(out)


def _uvarint(v: int) -> bytes:
    out = bytearray()
    while v >= 0x80:
        out.append(v & 0x7F | 0x80)
        v >>= 7
    out.append(v)
    return bytes(out)


def _varfloat(v: float) -> bytes:
    def bits(f: float) -> int:
        return int(struct.unpack("<Q", struct.pack("<d", f))[0])

    x = bits(v + 1) - bits(1.0)
    x = (x << 6 | x >> 58) & (1 << 64) - 1
    out = bytearray()
    for _ in range(8):
        n = x >> 57
        x = x << 7 & (1 << 64) - 1
        if x == 0:
            out.append(n)
            return bytes(out)
        out.append(n | 0x80)
    out.append(x >> 56)
    return bytes(out)


def check_names(names: Sequence[tuple[str, str]], address: str | None) -> None:
    """Raises ValueError if smartlb would refuse the messages of an instance with these names."""
    for what, name in names:
        if not name or len(name.encode("utf-8", "replace")) > 256 or name == "_all":
            raise ValueError(f"{what}: {name!r} is not a name of 1 to 256 bytes")
    if address is None:
        return
    host, colon, port = address.rpartition(":")
    bare = host.startswith("[") and host.endswith("]") or ":" not in host
    if not colon or not host or not port or not bare or len(address) > 256:
        raise ValueError(f"address: {address!r} is not host:port")
