"""When the next report is due. Nothing here reads a clock."""

from __future__ import annotations

import math

# A report is due before its pause ends if one of these is exceeded. The package for Go has the same rules.
USAGE_STEP = 0.15  # CPU or utilization differs by this from the last report
ERROR_STEP = 0.2  # the share of failed requests differs by this from the last report
RATE_SIGMAS = 6  # the number of requests is this many standard deviations from the number expected at the reported rate, and
RATE_STEP = 0.5  # differs by this share of the expected number


class Mean:
    """The mean of the measurements since the last report."""

    def __init__(self) -> None:
        self._sum, self._n = 0.0, 0

    def add(self, v: float | None) -> None:
        if v is not None:
            self._sum, self._n = self._sum + v, self._n + 1

    def value(self) -> float | None:
        return self._sum / self._n if self._n else None


class Pace:
    """While load, errors and usage do not change, the pause between reports doubles, from interval up to steady. Times are in seconds."""

    def __init__(self, interval: float, steady: float) -> None:
        self._interval, self._steady = interval, steady
        self._at: float | None = None  # of the measurement before
        self._next = self._pause = 0.0
        self._changed = False
        self._rps = self._failed = 0.0  # of the last report
        self._reported: tuple[float | None, float | None] = (None, None)
        self.cpu, self.utilization = Mean(), Mean()

    def due(self, now: float, requests: int, errors: int, cpu: float | None, utilization: float | None) -> bool:
        """Notes a measurement: the requests and failures since the one before, and the usage. Returns whether a report is due."""
        self.cpu.add(cpu)
        self.utilization.add(utilization)
        before, self._at = self._at, now
        self._changed = before is None or self._differs(now - before, requests, errors, cpu, utilization)
        return self._changed or now >= self._next - self._interval / 2

    def _differs(self, span: float, requests: int, errors: int, cpu: float | None, utilization: float | None) -> bool:
        if _apart(cpu, self._reported[0]) or _apart(utilization, self._reported[1]):
            return True
        expected = self._rps * span
        off = abs(requests - expected)
        if off > RATE_SIGMAS * math.sqrt(max(requests, expected, 1)) and off > RATE_STEP * expected:
            return True
        return requests > 0 and abs(errors / requests - self._failed) >= ERROR_STEP

    def reported(self, now: float, rps: float, failed: float) -> None:
        """Notes that a report was sent: requests per second and the share of failures since the one before."""
        self._pause = min(2 * self._pause, self._steady)
        if self._changed or self._pause < self._interval:
            self._pause = self._interval
        self._next = now + self._pause
        self._rps, self._failed = rps, failed
        self._reported = (self.cpu.value(), self.utilization.value())
        self.cpu, self.utilization = Mean(), Mean()


def _apart(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is not b
    return abs(a - b) >= USAGE_STEP
