"""CPU and memory of the process, as a share of what its cgroup (version 2) or else the machine permits. Linux only."""

from __future__ import annotations

import os
import posixpath
from typing import Callable


class Usage:
    """Measures this process. root is replaced by tests only."""

    def __init__(self, root: str = "/") -> None:
        self._root = root
        self._cores: float = os.cpu_count() or 1
        group = self._group()
        quota = self._tightest(group, "cpu.max", _cpu_max)
        if quota is not None:
            self._cores = min(self._cores, quota)
        limits = [v for v in (self._tightest(group, "memory.max", _number), self._kilobytes("proc/meminfo", "MemTotal:")) if v]
        self._limit = min(limits) if limits else None
        self._before: tuple[float, float] | None = None

    def cpu(self, now: float) -> float | None:
        """Returns the share of the CPU used since the previous call, None at the first call. now is in seconds."""
        t = os.times()
        used = t.user + t.system
        before, self._before = self._before, (now, used)
        if before is None or now <= before[0]:
            return None
        return min((used - before[1]) / (now - before[0]) / self._cores, 1.0)

    def memory(self) -> float | None:
        """Returns the share of the memory used, None if it is not known."""
        used = self._kilobytes("proc/self/status", "VmRSS:")
        if used is None or self._limit is None:
            return None
        return min(used / self._limit, 1.0)

    def _read(self, name: str) -> str:
        try:
            with open(os.path.join(self._root, name), encoding="utf-8", errors="replace") as f:
                return f.read(1 << 16)
        except OSError:
            return ""

    def _group(self) -> str:
        for line in self._read("proc/self/cgroup").splitlines():
            if line.startswith("0::"):
                return posixpath.normpath("/" + line[3:])
        return "/"

    def _tightest(self, group: str, name: str, parse: Callable[[str], float | None]) -> float | None:
        """Returns the smallest limit between the group and the root: it is the one in effect."""
        found: list[float] = []
        while True:
            v = parse(self._read("sys/fs/cgroup" + group.rstrip("/") + "/" + name).strip())
            if v is not None:
                found.append(v)
            if group in ("/", "//"):
                return min(found, default=None)
            group = posixpath.dirname(group)

    def _kilobytes(self, name: str, key: str) -> float | None:
        for line in self._read(name).splitlines():
            words = line.split()
            if len(words) >= 2 and words[0] == key and words[1].isdigit():
                return int(words[1]) * 1024.0
        return None


def _cpu_max(text: str) -> float | None:
    words = text.split()
    if len(words) != 2:
        return None
    quota, period = _number(words[0]), _number(words[1])
    return quota / period if quota and period else None


def _number(text: str) -> float | None:
    return float(text) if text.isdigit() and int(text) > 0 else None
