from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from typing import Callable, Iterator, Mapping, Protocol, Sequence

from . import _messages as messages
from ._usage import Usage

log = logging.getLogger("smartlb_report")


class Publisher(Protocol):
    """Sends messages. It must neither block nor raise. Calls are not concurrent."""

    def publish(self, topic: str, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]], time_ms: int) -> None: ...

    def close(self, timeout: float) -> None:
        """Delivers what is queued within timeout seconds, and drops the rest."""


class Request:
    """One request in progress. Set failed if it failed without an exception."""

    failed = False


class Reporter:
    """Counts requests and publishes reports, in a thread of its own. Its methods are safe for concurrent use."""

    def __init__(
        self,
        service_id: str,
        instance_id: str,
        publisher: Publisher,
        *,
        address: str | None = None,
        tags: Mapping[str, str] | None = None,
        interval: float = 1.0,
        utilization: Callable[[], float] | None = None,
        in_flight: Callable[[], int] | None = None,
        usage: bool = True,
    ) -> None:
        """Checks the settings. Nothing is sent before start.

        address is host:port at which the instance takes requests: with it, the instance registers itself where a
        service permits that. interval is the time between two reports in seconds, 0.1 to 60; each pause is up to a
        tenth shorter or longer. utilization says how busy the service is, 0 to 1. in_flight replaces the count of
        request. usage adds CPU and memory of the process.
        """
        messages.check_names((("service_id", service_id), ("instance_id", instance_id)), address)
        if not 0.1 <= interval <= 60:
            raise ValueError(f"interval: {interval} is not within 0.1 to 60 s")
        self._ids = (service_id, instance_id)
        if any(not isinstance(text, str) for pair in (tags or {}).items() for text in pair):
            raise ValueError("tags: want texts")
        self._address, self._tags, self._interval = address, dict(tags or {}), interval
        self._publisher, self._utilization, self._in_flight = publisher, utilization, in_flight
        self._usage = Usage() if usage else None
        self._lock = threading.Lock()  # of the counts; held for moments
        self._sending = threading.Lock()
        self._latencies: dict[int, int] = {}
        self._errors = self._active = 0
        self._stop, self._closed = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._complained = False

    def start(self) -> None:
        """Starts to report. In a server that forks, call it in each worker."""
        with self._lock:
            if self._thread is not None:
                raise RuntimeError("the reporter was started before")
            self._thread = threading.Thread(target=self._run, name="smartlb-report", daemon=True)
        self._thread.start()

    def close(self, timeout: float = 10.0) -> None:
        """Says goodbye, delivers what is queued, and closes the publisher. It takes about timeout seconds at most."""
        end = time.monotonic() + timeout
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout)
        if not self._closed.is_set():
            self._closed.set()
            self._publisher.close(max(0.0, end - time.monotonic()))

    def observe(self, seconds: float, failed: bool = False) -> None:
        """Counts one request that ended."""
        bucket = messages.bucket_of(seconds * 1000)
        with self._lock:
            if failed:
                self._errors += 1
            else:
                self._latencies[bucket] = self._latencies.get(bucket, 0) + 1

    @contextlib.contextmanager
    def request(self) -> Iterator[Request]:
        """Counts the request that the block serves. It fails if the block raises."""
        r = Request()
        began = time.monotonic()
        with self._lock:
            self._active += 1
        try:
            yield r
        except BaseException:
            r.failed = True
            raise
        finally:
            with self._lock:
                self._active -= 1
            self.observe(time.monotonic() - began, r.failed)

    def status(self, status: str) -> None:
        """Sends HEALTHY, DEGRADED, UNHEALTHY or DRAINING on health-status."""
        if status not in ("HEALTHY", "DEGRADED", "UNHEALTHY", "DRAINING"):
            raise ValueError(f"status: {status!r} is not known")
        now = int(time.time() * 1000)
        value = messages.status_value(*self._ids, self._address, now, status)
        self._publish(messages.HEALTH_STATUS, value, [], now)

    def _run(self) -> None:
        if self._address:
            self.status("HEALTHY")
        last = time.monotonic()
        if self._usage:
            self._usage.cpu(last)
        self._report(self._interval)  # an empty one: readers multiply rates by the time since the report before
        while not self._stop.wait(self._interval * random.uniform(0.9, 1.1)):
            now = time.monotonic()
            self._report(now - last)
            last = now
        if self._address:
            self.status("DRAINING")

    def _report(self, span: float) -> None:
        now = int(time.time() * 1000)
        utilization = self._call(self._utilization)
        active = self._call(self._in_flight)
        with self._lock:
            latencies, self._latencies = self._latencies, {}
            errors, self._errors = self._errors, 0
            r = messages.Report(*self._ids, now, max(span, 0.001) * 1000, latencies, errors, self._active, address=self._address, tags=self._tags)
        if active is not None:
            r.active = int(active)
        if utilization is not None:
            r.utilization = min(utilization, 1.0)
        if self._usage:
            r.cpu, r.memory = self._usage.cpu(time.monotonic()), self._usage.memory()
        self._publish(messages.SERVICE_METRICS, r.value(), r.headers(), now)

    def _publish(self, topic: str, value: bytes, headers: Sequence[tuple[str, bytes]], now: int) -> None:
        with self._sending:
            if self._closed.is_set():
                return
            try:
                self._publisher.publish(topic, self._ids[0].encode("utf-8", "replace"), value, headers, now)
            except Exception:  # a broken publisher must end neither the reports nor the service
                self._complain("a message was lost")

    def _call(self, f: Callable[[], float] | None) -> float | None:
        """Returns a number of the application, None if it is not known: it raised, or is NaN, infinite or negative."""
        if f is None:
            return None
        try:
            v = float(f())
        except Exception:
            self._complain("a callback of the reporter raised; its number is not reported")
            return None
        return v if 0 <= v < 1e15 else None

    def _complain(self, what: str) -> None:
        if not self._complained:
            self._complained = True
            log.exception(what)
