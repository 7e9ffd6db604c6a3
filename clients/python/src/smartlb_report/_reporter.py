from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from typing import Callable, Iterator, Mapping, Protocol, Sequence

from . import _messages as messages
from ._pace import Pace
from ._signing import SigningKey
from ._usage import Usage

_REPEAT = 10.0  # seconds between two messages with a status other than HEALTHY: smartlb believes one for 30 s

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
        steady: float | None = None,
        utilization: Callable[[], float] | None = None,
        in_flight: Callable[[], int] | None = None,
        usage: bool = True,
        signing_key: tuple[str, str] | None = None,
    ) -> None:
        """Checks the settings. Nothing is sent before start.

        address is host:port at which the instance takes requests: with it, the instance registers itself where a
        service permits that. interval is the shortest time between two reports in seconds, 0.1 to 60, up to a tenth
        shorter or longer. steady is the longest, up to 60: while load, errors and usage do not change, the pause doubles up to
        it; 30 by default, or interval if that is longer. utilization says how busy the service is, 0 to 1. in_flight replaces the count of
        request. usage adds CPU and memory of the process. signing_key is the id and the secret with which messages are
        signed.
        """
        messages.check_names((("service_id", service_id), ("instance_id", instance_id)), address)
        if not 0.1 <= interval <= 60:
            raise ValueError(f"interval: {interval} is not within 0.1 to 60 s")
        steady = max(30.0, interval) if steady is None else steady
        if not interval <= steady <= 60:
            raise ValueError(f"steady: {steady} is not within interval to 60 s")
        self._signing = SigningKey(*signing_key) if signing_key is not None else None
        self._ids = (service_id, instance_id)
        if any(not isinstance(text, str) for pair in (tags or {}).items() for text in pair):
            raise ValueError("tags: want texts")
        self._address, self._tags, self._interval = address, dict(tags or {}), interval
        self._publisher, self._utilization, self._in_flight = publisher, utilization, in_flight
        self._usage = Usage() if usage else None
        self._lock = threading.Lock()  # of the counts; held for moments
        self._sending = threading.RLock()  # of the status, too: a repeated one never follows a newer one
        self._latencies: dict[int, int] = {}
        self._errors = self._active = 0
        self._pace = Pace(interval, steady)
        self._seen = (0, 0)  # requests and failures since the last report, at the measurement before
        self._reported = 0.0  # when
        self._status, self._said = "HEALTHY", 0.0  # the latest status, and when it was sent
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
        """Sends HEALTHY, DEGRADED, UNHEALTHY or DRAINING on health-status. It is repeated until another status is sent.

        DRAINING pauses the instance: it gets no new requests. HEALTHY ends that.
        """
        if status not in ("HEALTHY", "DEGRADED", "UNHEALTHY", "DRAINING"):
            raise ValueError(f"status: {status!r} is not known")
        with self._sending:
            self._status = status
            self._say()

    def _say(self) -> None:
        with self._sending:
            self._said, now = time.monotonic(), int(time.time() * 1000)
            value = messages.status_value(*self._ids, self._address, now, self._status)
            self._publish(messages.HEALTH_STATUS, value, [], now)

    def _repeat(self, now: float) -> None:
        with self._sending:
            if self._status != "HEALTHY" and now - self._said >= _REPEAT:
                self._say()

    def _run(self) -> None:
        if self._address:
            self._say()
        self._reported = time.monotonic() - self._interval
        if self._usage:
            self._usage.cpu(time.monotonic())
        self._look(time.monotonic())  # an empty report: readers multiply rates by the time since the report before
        while not self._stopped(self._interval * random.uniform(0.9, 1.1)):
            self._look(time.monotonic())
        if self._address:
            self.status("DRAINING")

    def _stopped(self, seconds: float) -> bool:
        """Waits, and repeats the status meanwhile. Returns whether the reporter is being closed."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._stop.wait(min(left, _REPEAT)):
                return True
            self._repeat(time.monotonic())
        return self._stop.is_set()

    def _look(self, now: float) -> None:
        """Measures, and reports if a report is due."""
        utilization = self._call(self._utilization)
        if utilization is not None:
            utilization = min(utilization, 1.0)
        cpu = self._usage.cpu(now) if self._usage else None
        with self._lock:
            errors = self._errors
            requests = errors + sum(self._latencies.values())
            before, self._seen = self._seen, (requests, errors)
            if not self._pace.due(now, requests - before[0], errors - before[1], cpu, utilization):
                return
            latencies, self._latencies = self._latencies, {}
            self._errors, self._seen, active = 0, (0, 0), self._active
        self._report(now, latencies, errors, requests, active)

    def _report(self, now: float, latencies: Mapping[int, int], errors: int, requests: int, active: int) -> None:
        in_flight, time_ms = self._call(self._in_flight), int(time.time() * 1000)
        span, self._reported = max(now - self._reported, 0.001), now
        r = messages.Report(*self._ids, time_ms, span * 1000, latencies, errors, active if in_flight is None else int(in_flight), address=self._address, tags=self._tags)
        r.cpu, r.utilization = self._pace.cpu.value(), self._pace.utilization.value()
        r.memory = self._usage.memory() if self._usage else None
        self._pace.reported(now, requests / span, errors / requests if requests else 0.0)
        self._publish(messages.SERVICE_METRICS, r.value(), r.headers(), time_ms)

    def _publish(self, topic: str, value: bytes, headers: Sequence[tuple[str, bytes]], now: int) -> None:
        with self._sending:
            if self._closed.is_set():
                return
            key = self._ids[0].encode("utf-8", "replace")
            if self._signing is not None:
                headers = [*headers, self._signing.header(topic, key, value, now)]
            try:
                self._publisher.publish(topic, key, value, headers, now)
            except Exception:  # a broken publisher must end neither the reports nor the service
                self._complain("a message was lost")

    def _call(self, f: Callable[[], float] | None) -> float | None:
        """Returns a number of the application, None if it is not known: it raised, or is NaN, infinite or negative."""
        if f is None:
            return None
        try:
            v = float(f())
        except BaseException:  # also SystemExit, which would end the thread
            self._complain("a callback of the reporter raised; its number is not reported")
            return None
        return v if 0 <= v < 1e15 else None

    def _complain(self, what: str) -> None:
        if not self._complained:
            self._complained = True
            log.exception(what)
