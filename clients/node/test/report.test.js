import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { Reporter } from "../index.js";
import { bucketOf, middle } from "../messages.js";
import { Pace } from "../pace.js";
import { signer } from "../signing.js";
import { Usage } from "../usage.js";
import { corpus, emitted } from "./corpus.js";

// The time of a message may have zeros at its end.
const comparable = (m) => ({ ...m, timestamp: Date.parse(m.timestamp) });

/** A Publisher that keeps messages. */
class Collected {
  messages = [];
  closed = 0;
  publish(m) {
    this.messages.push({ ...m, value: JSON.parse(m.value) });
  }
  async close() {
    this.closed++;
  }
  async wait(ok) {
    for (const end = Date.now() + 120_000; Date.now() < end; await new Promise((r) => setTimeout(r, 10))) {
      const found = this.messages.find(ok);
      if (found) return found;
    }
    assert.fail(JSON.stringify(this.messages));
  }
}

const settings = (more) => ({ serviceId: "s", instanceId: "i", interval: 100, publisher: new Collected(), ...more });

for (const { name, value, want } of emitted()) {
  test(`corpus: ${name}`, () => assert.deepEqual(comparable(JSON.parse(value)), comparable(want)));
}

for (const c of corpus.badSettings) {
  test(`corpus: ${c.name} is refused`, () => {
    assert.throws(() => new Reporter({ ...c, publisher: new Collected(), interval: c.intervalMs }), TypeError);
  });
}

for (const c of corpus.signatures) {
  test(`corpus: signature of ${c.name}`, () => assert.equal(signer({ id: c.keyId, secret: c.secret })(c.topic, c.key, c.value, c.timeMs).toString(), c.want));
}

for (const c of corpus.badKeys) {
  test(`corpus: ${c.name} is refused`, () => {
    assert.throws(() => new Reporter(settings({ signingKey: { id: c.keyId, secret: c.secret } })), (e) => e instanceof TypeError && (c.secret === "" || !e.message.includes(c.secret)));
  });
}

for (const c of corpus.paces) {
  test(`corpus: reports of ${c.name}`, () => {
    const pace = new Pace(c.intervalMs, c.steadyMs);
    const places = [];
    let [now, last, requests, errors, place] = [0, 0, 0, 0, 0];
    for (const look of c.looks.flatMap((l) => Array(l.times).fill(l))) {
      now += look.afterMs;
      requests += look.requests;
      errors += look.errors;
      if (pace.due({ ...look, now })) {
        pace.reported(now, (requests / (now - last)) * 1000, requests > 0 ? errors / requests : 0);
        places.push(place);
        [last, requests, errors] = [now, 0, 0];
      }
      place++;
    }
    assert.deepEqual(places, c.want);
  });
}

test("buckets are within 1 %", () => {
  for (let ms = 0.001; ms < 300_000; ms *= 1.001) assert.ok(Math.abs(middle(bucketOf(ms)) - ms) <= 0.0101 * ms);
  for (const odd of [0, -1, NaN, Infinity]) assert.ok(Number.isInteger(bucketOf(odd)));
});

test("an instance joins, reports and leaves", async () => {
  const out = new Collected();
  const r = new Reporter(settings({ publisher: out, address: "127.0.0.1:80", tags: { zone: "a" }, utilization: () => 7, steady: 100, signingKey: { id: "k", secret: "s".repeat(32) } }));
  r.start();
  assert.throws(() => r.start());
  const end = r.request();
  const seen = await out.wait((m) => m.value.metrics?.activeConnections === 1);
  assert.equal(seen.key, "s");
  assert.equal(seen.value.metrics.utilization, 1);
  assert.deepEqual(seen.value.tags, { zone: "a" });
  end();
  end(true); // the first counts
  r.observe(5, true);
  await out.wait((m) => m.value.metrics?.errorRate === 0.5);
  await out.wait((m) => "smartlb-latency" in m.headers);
  await out.wait((m) => m.value.metrics?.cpuUsage >= 0 && m.value.metrics.memoryUsage > 0);
  r.status("DEGRADED");
  assert.throws(() => r.status("UP"), TypeError);
  await r.close();
  await r.close();
  assert.equal(out.closed, 1);
  assert.deepEqual(out.messages.flatMap((m) => m.value.status ?? []), ["HEALTHY", "DEGRADED", "DRAINING"]);
  assert.ok(out.messages.every((m) => m.headers["smartlb-signature"].toString().startsWith("v1 k ")));
  assert.ok(out.messages.every((m) => m.value.address === "127.0.0.1:80"));
  const n = out.messages.length;
  r.status("HEALTHY"); // after close nothing is sent
  assert.equal(out.messages.length, n);
});

test("a drain is repeated until it ends", async () => {
  const out = new Collected();
  const states = () => out.messages.flatMap((m) => m.value.status ?? []);
  const r = new Reporter(settings({ publisher: out, usage: false, steady: 100, repeatMs: 150 }));
  r.start();
  r.status("DRAINING");
  await out.wait(() => states().filter((s) => s === "DRAINING").length >= 3);
  r.status("HEALTHY");
  const n = out.messages.length;
  await out.wait(() => out.messages.length > n + 4);
  await r.close();
  assert.equal(states().at(-1), "HEALTHY");
});

test("a drain is repeated between rare reports", async () => {
  const out = new Collected();
  const r = new Reporter(settings({ publisher: out, usage: false, interval: 60_000, repeatMs: 50 }));
  r.start();
  r.status("DRAINING");
  await out.wait(() => out.messages.filter((m) => m.value.status === "DRAINING").length >= 3);
  await r.close();
});

test("a steady instance reports less often", async () => {
  const out = new Collected();
  let looks = 0;
  const r = new Reporter(settings({ publisher: out, usage: false, utilization: () => (looks++, 0.5) }));
  r.start();
  await out.wait(() => looks > out.messages.length);
  await r.close();
  for (const wrong of [{ steady: 99 }, { steady: 60_001 }]) assert.throws(() => new Reporter(settings(wrong)), TypeError);
});

test("without an address no status is sent", async () => {
  const r = settings();
  const reporter = new Reporter(r);
  reporter.start();
  await r.publisher.wait((m) => m.topic === "service-metrics");
  await reporter.close();
  assert.equal(r.publisher.messages.filter((m) => m.topic === "health-status").length, 0);
});

test("callbacks and publishers that fail do not end reports", async () => {
  let calls = 0;
  const fail = () => {
    calls++;
    throw new Error("broken");
  };
  const r = new Reporter(settings({ publisher: { publish: fail }, steady: 100, utilization: fail, inFlight: () => NaN }));
  r.start();
  while (calls < 6) await new Promise((done) => setTimeout(done, 10));
  await r.close();
});

test("rejected promises do not end the process", async () => {
  let calls = 0;
  const fail = async () => {
    calls++;
    throw new Error("broken"); // an unhandled rejection fails this test
  };
  const r = new Reporter(settings({ publisher: { publish: fail }, steady: 100, utilization: fail }));
  r.start();
  while (calls < 4) await new Promise((done) => setTimeout(done, 10));
  await r.close();
});

test("the middleware counts requests of a server", async () => {
  const out = new Collected();
  const r = new Reporter(settings({ publisher: out, usage: false }));
  const count = r.middleware();
  const server = http.createServer((req, res) => count(req, res, () => res.writeHead(req.url === "/bad" ? 503 : 200).end()));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const base = `http://127.0.0.1:${server.address().port}`;
  for (const p of ["/", "/", "/", "/bad"]) await (await fetch(base + p, { headers: { connection: "close" } })).text();
  r.start();
  await out.wait((m) => m.value.metrics?.errorRate === 0.25);
  await r.close();
  server.close();
});

test("a response that is gone before the middleware is not in progress", async () => {
  const out = new Collected();
  const r = new Reporter(settings({ publisher: out, usage: false }));
  const count = r.middleware();
  const server = http.createServer((req, res) => {
    res.once("close", () => setImmediate(() => count(req, res, () => r.start())));
    req.socket.destroy();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  await assert.rejects(fetch(`http://127.0.0.1:${server.address().port}/`));
  const first = await out.wait((m) => m.topic === "service-metrics");
  assert.equal(first.value.metrics.activeConnections, 0);
  await r.close();
  server.close();
});

test("the smallest limit counts", () => {
  const usage = (files) => {
    const root = mkdtempSync(path.join(os.tmpdir(), "usage-"));
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
      writeFileSync(path.join(root, name), content);
    }
    return new Usage(root);
  };
  const u = usage({
    "proc/self/cgroup": "0::/a/b\n", "proc/meminfo": "MemTotal: 4000 kB\n", "proc/self/status": "VmRSS:\t500 kB\n",
    "sys/fs/cgroup/a/cpu.max": "50000 100000\n", "sys/fs/cgroup/a/b/cpu.max": "max 100000\n", "sys/fs/cgroup/a/b/memory.max": "2048000\n", "sys/fs/cgroup/memory.max": "max\n",
  });
  assert.equal(u.cores, 0.5);
  assert.equal(u.memory(), 0.25);
  const nothing = usage({});
  assert.equal(nothing.memory(), undefined);
  assert.equal(nothing.cpu(1), undefined);
});
