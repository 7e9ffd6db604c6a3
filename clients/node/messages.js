// The two messages of an instance, and the sketch of its latencies. Nothing here reads a clock.

export const SERVICE_METRICS = "service-metrics";
export const HEALTH_STATUS = "health-status";
export const HEADER_LATENCY = "smartlb-latency";

// The buckets of a DDSketch with 1 % accuracy: bucket i has latencies in (GAMMA^(i-1), GAMMA^i] milliseconds.
const ACCURACY = 0.01;
const GAMMA = (1 + ACCURACY) / (1 - ACCURACY);
const FIRST_BUCKET = -346; // 1 us; shorter latencies count there
const LAST_BUCKET = 641; // 6 minutes; longer latencies count there
const FEW_BUCKETS = 32; // of a sketch

/** Returns the bucket of a latency. */
export function bucketOf(ms) {
  if (!(ms > 0)) return FIRST_BUCKET;
  return Math.min(Math.max(Math.ceil(Math.log(ms) / Math.log(GAMMA)), FIRST_BUCKET), LAST_BUCKET);
}

/** Returns a value within 1 % of all latencies of a bucket, in milliseconds. */
export function middle(bucket) {
  return Math.pow(GAMMA, bucket) * (1 - ACCURACY);
}

function rounded(v, digits) {
  if (v === undefined) return undefined;
  const scale = 10 ** digits;
  return Math.floor(v * scale + 0.5) / scale;
}

function p95(ordered, total) {
  let rank = Math.floor(0.95 * (total - 1));
  for (const [bucket, count] of ordered) {
    if (rank < count) return middle(bucket);
    rank -= count;
  }
  return undefined;
}

const byBucket = (latencies) => [...latencies].sort((a, b) => a[0] - b[0]);

// A text with half of a surrogate pair has no UTF-8; the replacement character stands for it.
const text = (s) => s?.toWellFormed?.() ?? s;

/**
 * Returns the value for the topic service-metrics. Numbers that are not known are undefined. latencies is a Map of the
 * requests without failure by bucket.
 */
export function reportValue(r) {
  const ordered = byBucket(r.latencies);
  const successes = ordered.reduce((n, [, count]) => n + count, 0);
  const requests = successes + r.errors;
  const tags = Object.entries(r.tags ?? {}).map(([k, v]) => [text(k), text(v)]);
  return JSON.stringify({
    ...identity(r),
    metrics: {
      rps: rounded(requests / (r.spanMs / 1000), 3),
      p95Latency: rounded(p95(ordered, successes), 3),
      errorRate: requests > 0 ? rounded(r.errors / requests, 6) : undefined,
      activeConnections: Math.max(r.active, 0),
      cpuUsage: rounded(r.cpu, 4),
      memoryUsage: rounded(r.memory, 4),
      utilization: rounded(r.utilization, 4),
    },
    tags: tags.length > 0 ? Object.fromEntries(tags) : undefined,
  });
}

/** Returns the headers of a report: the sketch of the latencies, if there are any. */
export function reportHeaders(r) {
  return r.latencies.size > 0 ? { [HEADER_LATENCY]: sketch(r.latencies) } : {};
}

/** Returns the value for the topic health-status. */
export function statusValue(r) {
  return JSON.stringify({ ...identity(r), status: r.status, checkType: "report" });
}

function identity(r) {
  return { timestamp: new Date(r.timeMs), serviceId: text(r.serviceId), instanceId: text(r.instanceId), address: r.address || undefined };
}

/** Returns the latencies in the binary encoding of DataDog/sketches-go, with at most 32 buckets. */
export function sketch(latencies) {
  const ordered = byBucket(latencies);
  const size = 1 + Math.floor((ordered.length - 1) / FEW_BUCKETS);
  const head = Buffer.alloc(18);
  head[0] = 0x02; // logarithmic mapping: GAMMA, and an offset of 0
  head.writeDoubleLE(GAMMA, 1);
  head[17] = 0x05; // positive values: deltas of indexes, and counts
  const out = [];
  uvarint(out, Math.ceil(ordered.length / size));
  let before = 0;
  for (let at = 0; at < ordered.length; at += size) {
    const group = ordered.slice(at, at + size);
    const n = group.reduce((sum, [, count]) => sum + count, 0);
    const mean = group.reduce((sum, [bucket, count]) => sum + middle(bucket) * count, 0) / n;
    const index = Math.floor(Math.log(mean) / Math.log(GAMMA));
    const delta = index - before;
    uvarint(out, delta < 0 ? -2 * delta - 1 : 2 * delta);
    varfloat(out, n);
    before = index;
  }
  return Buffer.concat([head, Buffer.from(out)]);
}

function uvarint(out, v) {
  for (; v >= 0x80; v = Math.floor(v / 128)) out.push((v % 128) | 0x80);
  out.push(v);
}

function varfloat(out, v) {
  const bits = (f) => {
    const b = Buffer.alloc(8);
    b.writeDoubleLE(f);
    return b.readBigUInt64LE();
  };
  let x = BigInt.asUintN(64, bits(v + 1) - bits(1));
  x = BigInt.asUintN(64, (x << 6n) | (x >> 58n));
  for (let i = 0; i < 8; i++) {
    const n = Number(x >> 57n);
    x = BigInt.asUintN(64, x << 7n);
    if (x === 0n) {
      out.push(n);
      return;
    }
    out.push(n | 0x80);
  }
  out.push(Number(x >> 56n));
}

/** Throws if smartlb would refuse the messages of an instance with these names. */
export function checkNames({ serviceId, instanceId, address }) {
  for (const [what, name] of Object.entries({ serviceId, instanceId })) {
    if (typeof name !== "string" || name === "" || Buffer.byteLength(name) > 256 || name === "_all") {
      throw new TypeError(`${what}: ${JSON.stringify(name)} is not a name of 1 to 256 bytes`);
    }
  }
  if (address === undefined) return;
  if (typeof address !== "string" || address.length > 256 || !/^(\[[^\]]+\]|[^:[\]]+):[^:]+$/.test(address)) {
    throw new TypeError(`address: ${JSON.stringify(address)} is not host:port`);
  }
}
