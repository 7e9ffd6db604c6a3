import json
import math
import os
import pathlib
import tempfile
import threading
import time
import unittest
from unittest import mock
from datetime import datetime

from smartlb_report import Reporter, Usage
from smartlb_report import _reporter
from smartlb_report._pace import Pace
from smartlb_report._signing import SigningKey
from smartlb_report._messages import Report, bucket_of, middle, status_value

CORPUS = json.loads((pathlib.Path(__file__).parents[2] / "corpus.json").read_text("utf-8"))


def comparable(message):
    """The time of a message may have zeros at its end."""
    message["timestamp"] = datetime.fromisoformat(message["timestamp"].replace("Z", "+00:00")).timestamp()
    return message


def report(case):
    latencies = {}
    for ms, n in case["latencies"]:
        latencies[bucket_of(ms)] = latencies.get(bucket_of(ms), 0) + n
    return Report(
        case["serviceId"], case["instanceId"], case["timeMs"], case["spanMs"], latencies, case["errors"], case["active"],
        case.get("cpu"), case.get("memory"), case.get("utilization"), case.get("address"), case.get("tags"),
    )


def emit():
    """Yields what the corpus makes: topic, name, value and headers."""
    for case in CORPUS["reports"]:
        r = report(case)
        yield "service-metrics", case, r.value(), r.headers()
    for case in CORPUS["announcements"]:
        status = "DRAINING" if case.get("stops") else "HEALTHY"
        yield "health-status", case, status_value(case["serviceId"], case["instanceId"], case["address"], case["timeMs"], status), []


class Collected:
    """A Publisher that keeps messages."""

    def __init__(self):
        self.messages, self.closed, self.changed = [], 0, threading.Condition()

    def publish(self, topic, key, value, headers, time_ms):
        with self.changed:
            self.messages.append((topic, key, json.loads(value), dict(headers)))
            self.changed.notify_all()

    def close(self, timeout):
        self.closed += 1

    def wait(self, ok):
        with self.changed:
            assert self.changed.wait_for(lambda: any(ok(m) for m in self.messages), timeout=120), self.messages
            return next(m for m in self.messages if ok(m))


class Corpus(unittest.TestCase):
    def test_messages(self):
        for _, case, value, _ in emit():
            with self.subTest(case["name"]):
                self.assertEqual(comparable(json.loads(value)), comparable(dict(case["want"])))

    def test_bad_settings(self):
        for case in CORPUS["badSettings"]:
            with self.subTest(case["name"]), self.assertRaises(ValueError):
                Reporter(case["serviceId"], case["instanceId"], Collected(), address=case.get("address"), interval=case.get("intervalMs", 1000) / 1000)


    def test_signatures(self):
        for case in CORPUS["signatures"]:
            with self.subTest(case["name"]):
                got = SigningKey(case["keyId"], case["secret"]).header(case["topic"], case["key"].encode(), case["value"].encode(), case["timeMs"])
                self.assertEqual(got, ("smartlb-signature", case["want"].encode()))

    def test_bad_keys(self):
        for case in CORPUS["badKeys"]:
            with self.subTest(case["name"]), self.assertRaises(ValueError) as raised:
                Reporter("s", "i", Collected(), signing_key=(case["keyId"], case["secret"]))
            self.assertFalse(case["secret"] and case["secret"] in str(raised.exception))

    def test_paces(self):
        for case in CORPUS["paces"]:
            with self.subTest(case["name"]):
                self.assertEqual(paced(case), case["want"])


def paced(case):
    """Returns the places of the intervals at whose end a report is due."""
    pace, out, now, place = Pace(case["intervalMs"] / 1000, case["steadyMs"] / 1000), [], 0, 0
    last = requests = errors = 0
    for look in case["looks"]:
        for _ in range(look["times"]):
            now += look["afterMs"]
            requests, errors = requests + look["requests"], errors + look["errors"]
            if pace.due(now / 1000, look["requests"], look["errors"], look.get("cpu"), look.get("utilization")):
                pace.reported(now / 1000, requests / (now - last) * 1000, errors / requests if requests else 0)
                out.append(place)
                last, requests, errors = now, 0, 0
            place += 1
    return out


class Buckets(unittest.TestCase):
    def test_within_one_percent(self):
        for i in range(1, 20000):
            ms = 0.001 * 1.001**i
            if ms < 300_000:
                self.assertLessEqual(abs(middle(bucket_of(ms)) - ms), 0.0101 * ms)
        for odd in (0, -1, math.nan, math.inf):
            bucket_of(odd)


class Running(unittest.TestCase):
    def test_an_instance_joins_reports_and_leaves(self):
        out = Collected()
        r = Reporter("s", "i", out, address="127.0.0.1:80", tags={"zone": "a"}, interval=0.1, steady=0.1, utilization=lambda: 7, signing_key=("k", "s" * 32))
        r.start()
        with self.assertRaises(RuntimeError):
            r.start()
        with r.request():
            self.assertEqual(out.wait(lambda m: m[0] == "service-metrics" and m[2]["metrics"]["activeConnections"] == 1)[1], b"s")
        with self.assertRaises(KeyError), r.request():
            raise KeyError
        with r.request() as q:
            q.failed = True
        seen = out.wait(lambda m: m[2].get("metrics", {}).get("errorRate", 0) > 0)
        self.assertEqual(seen[2]["metrics"]["utilization"], 1)
        self.assertEqual(seen[2]["tags"], {"zone": "a"})
        out.wait(lambda m: "smartlb-latency" in m[3])
        out.wait(lambda m: "memoryUsage" in m[2].get("metrics", {}) and "cpuUsage" in m[2]["metrics"])
        r.status("DEGRADED")
        r.close()
        r.close()
        self.assertEqual(out.closed, 1)
        states = [m[2]["status"] for m in out.messages if m[0] == "health-status"]
        self.assertEqual(states, ["HEALTHY", "DEGRADED", "DRAINING"])
        self.assertTrue(all(m[3]["smartlb-signature"].startswith(b"v1 k ") for m in out.messages))
        self.assertTrue(all(m[2]["address"] == "127.0.0.1:80" for m in out.messages))
        n = len(out.messages)
        r.status("HEALTHY")  # after close nothing is sent
        self.assertEqual(len(out.messages), n)

    def test_a_drain_is_repeated_until_it_ends(self):
        out = Collected()
        r = Reporter("s", "i", out, interval=0.1, usage=False)
        with mock.patch.object(_reporter, "_REPEAT", 0.15):
            r.start()
            r.status("DRAINING")
            out.wait(lambda m: self.states(out).count("DRAINING") >= 3)
            r.status("HEALTHY")
            n = len(out.messages)
            for k in range(4):  # a change makes a report
                r.observe(0.01, failed=k % 2 == 0)
                out.wait(lambda m: len([m for m in out.messages[n:] if m[0] == "service-metrics"]) > k)
            r.close()
        self.assertEqual(self.states(out)[-1], "HEALTHY")

    def test_a_drain_is_repeated_between_rare_reports(self):
        out = Collected()
        r = Reporter("s", "i", out, interval=60, usage=False)
        with mock.patch.object(_reporter, "_REPEAT", 0.05):
            r.start()
            r.status("DRAINING")
            out.wait(lambda m: self.states(out).count("DRAINING") >= 3)
            r.close()

    def states(self, out):
        return [m[2]["status"] for m in out.messages if m[0] == "health-status"]

    def test_a_steady_instance_reports_less_often(self):
        out, looks = Collected(), []
        r = Reporter("s", "i", out, interval=0.1, usage=False, utilization=lambda: looks.append(1) or 0.5)
        r.start()
        end = time.monotonic() + 120
        while len(looks) <= len(out.messages):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)
        r.close()
        with self.assertRaises(ValueError):
            Reporter("s", "i", out, interval=1, steady=0.9)
        with self.assertRaises(ValueError):
            Reporter("s", "i", out, steady=61)

    def test_without_an_address_no_status_is_sent(self):
        out = Collected()
        r = Reporter("s", "i", out, interval=0.1, usage=False)
        r.start()
        out.wait(lambda m: m[0] == "service-metrics")
        r.close()
        self.assertFalse([m for m in out.messages if m[0] == "health-status"])

    def test_callbacks_that_fail_do_not_end_reports(self):
        def leave():
            raise SystemExit

        out = Collected()
        r = Reporter("s", "i", out, interval=0.1, steady=0.1, utilization=leave, in_flight=lambda: math.nan, usage=False)
        with self.assertLogs("smartlb_report"):
            r.start()
            for _ in range(2):
                out.wait(lambda m: len(out.messages) > 1)
            r.close()
        self.assertNotIn("utilization", out.messages[0][2]["metrics"])

    def test_a_publisher_that_raises_does_not_disturb_the_service(self):
        class Broken(Collected):
            calls = 0

            def publish(self, *args):
                self.calls += 1
                if self.calls < 5:  # HEALTHY and DEGRADED, and two reports
                    raise OSError("broken")
                super().publish(*args)

        out = Broken()
        r = Reporter("s", "i", out, address="127.0.0.1:80", interval=0.1, usage=False)
        with self.assertLogs("smartlb_report") as logged:
            r.start()
            r.status("DEGRADED")
            out.wait(lambda m: m[0] == "service-metrics")
            r.close()
        self.assertEqual(len(logged.output), 1)
        self.assertEqual(out.messages[-1][2]["status"], "DRAINING")

    def test_many_threads_count_each_request_once(self):
        r = Reporter("s", "i", Collected())
        threads = [threading.Thread(target=lambda: [r.observe(0.01, n % 4 == 0) for n in range(1000)]) for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual((r._errors, sum(r._latencies.values())), (2000, 6000))


class Limits(unittest.TestCase):
    def usage(self, files):
        root = tempfile.mkdtemp()
        for name, text in files.items():
            path = os.path.join(root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            pathlib.Path(path).write_text(text)
        return Usage(root)

    def test_the_smallest_limit_counts(self):
        u = self.usage({
            "proc/self/cgroup": "0::/a/b\n", "proc/meminfo": "MemTotal: 4000 kB\n", "proc/self/status": "VmRSS:\t500 kB\n",
            "sys/fs/cgroup/a/cpu.max": "50000 100000\n", "sys/fs/cgroup/a/b/cpu.max": "max 100000\n", "sys/fs/cgroup/a/b/memory.max": "2048000\n", "sys/fs/cgroup/memory.max": "max\n",
        })
        self.assertEqual(u._cores, 0.5)
        self.assertEqual(u.memory(), 0.25)

    def test_nothing_is_known(self):
        u = self.usage({})
        self.assertIsNone(u.memory())
        self.assertIsNone(u.cpu(time.monotonic()))


if __name__ == "__main__":
    unittest.main()
