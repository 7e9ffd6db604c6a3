import type { Changes, Instance, Overview, Service } from "../api/client";

/** Seconds of history that are kept for drawing. */
export const slots = 120;

/** Requests and errors of the last seconds: rings with one common position for all instances. */
export interface Points {
  requests: Float32Array;
  errors: Float32Array;
}

export interface LiveInstance extends Omit<Instance, "history" | "errorHistory"> {
  points: Points;
  /** The time of the facts from Kafka, ms since 1970; 0 if there are none. */
  factsAt: number;
  /** The text that the filter matches, in lower case, without the state. */
  text: string;
}

export interface LiveService extends Omit<Service, "instances"> {
  instances: LiveInstance[];
}

/** The page's copy of the overview. */
export interface LiveOverview extends Omit<Overview, "services"> {
  services: LiveService[];
  /** The slot of the newest second. */
  head: number;
  tick: number;
  /** Maps the row numbers of the stream to services and positions in them. */
  places: Int32Array;
  count: number;
}

const textOf = (service: string, i: Pick<Instance, "id" | "address" | "tags">) =>
  [service, i.id, i.address, ...Object.entries(i.tags ?? {}).map(([k, v]) => `${k}=${v}`)].join(" ").toLowerCase();

function pointsOf(i: Instance): Points {
  const p = { requests: new Float32Array(slots), errors: new Float32Array(slots) };
  p.requests.set(i.history, slots - i.history.length);
  p.errors.set(i.errorHistory, slots - i.errorHistory.length);
  return p;
}

/** Decodes the event "overview"; the newest second is in the last slot. */
export function begin(o: Overview): LiveOverview {
  let count = 0;
  const now = Date.parse(o.at);
  for (const s of o.services) count += s.instances.length;
  const places = new Int32Array(count * 2);
  let n = 0;
  const services = o.services.map((s, at) => ({
    ...s,
    instances: s.instances.map((i, k): LiveInstance => {
      places.set([at, k], 2 * n++);
      const { history: _, errorHistory: __, ...rest } = i;
      return { ...rest, points: pointsOf(i), text: textOf(s.id, i), factsAt: i.facts ? now - i.facts.ageMs : 0 };
    }),
  }));
  return { ...o, services, head: slots - 1, tick: o.tick ?? 0, places, count };
}

/** The overview after the event "changes". Objects that did not change stay the same ones. */
export function apply(o: LiveOverview, c: Changes): LiveOverview {
  const next: LiveOverview = { ...o, at: c.at, node: c.node ?? o.node, alerts: c.alerts ?? o.alerts, services: o.services.slice() };
  const steps = Math.min(slots, Math.max(0, c.tick - o.tick));
  next.tick = c.tick;
  next.head = (o.head + steps) % slots;
  if (steps > 0) turn(next, steps);
  const touched = new Set<number>();
  const service = (n: number): LiveService | undefined => {
    const s = next.services[n];
    if (!s || touched.has(n)) return s;
    touched.add(n);
    const copy = { ...s, instances: s.instances.slice() };
    next.services[n] = copy;
    return copy;
  };
  for (const [n = -1, rate = 0, errorRate = 0, medianMs = 0, active = 0, panic = 0, limit = 0, waiting = 0, headroom = 0, known = 0] of c.services) {
    const s = service(n);
    if (s) Object.assign(s, { rate, errorRate, medianMs, active, panic: panic === 1, headroom: known > 0 ? { rate: headroom, atLeast: known === 2 } : undefined });
    if (s?.queue) s.queue = { ...s.queue, limit, waiting };
  }
  const now = Date.parse(c.at);
  for (const { n, instance } of c.standing) {
    const s = service(o.places[2 * n] ?? -1);
    const at = o.places[2 * n + 1] ?? -1;
    const was = s?.instances[at];
    if (!s || !was) continue;
    const { history: _, errorHistory: __, ...rest } = instance;
    s.instances[at] = { ...rest, points: was.points, text: textOf(s.id, instance), factsAt: instance.facts ? now - instance.facts.ageMs : 0 };
  }
  const reweighed = new Set<LiveService>();
  for (const row of c.instances) {
    const n = row[0] ?? -1;
    const s = service(o.places[2 * n] ?? -1);
    const at = o.places[2 * n + 1] ?? -1;
    const was = s?.instances[at];
    if (!s || !was) continue;
    const i = numbers(was, row);
    if (i.weight !== was.weight) reweighed.add(s);
    if (steps > 0) {
      i.points.requests[next.head] = row[1] ?? 0;
      i.points.errors[next.head] = row[2] ?? 0;
    }
    s.instances[at] = i;
  }
  for (const s of reweighed) weigh(s);
  return next;
}

/** Adds empty slots for new seconds; the rows of the event fill them. */
function turn(o: LiveOverview, steps: number) {
  for (const s of o.services) {
    for (const { points } of s.instances) {
      for (let k = 0; k < steps; k++) {
        const slot = (o.head - k + slots) % slots;
        points.requests[slot] = 0;
        points.errors[slot] = 0;
      }
    }
  }
}

/** An instance with the numbers of its row. */
function numbers(was: LiveInstance, row: number[]): LiveInstance {
  const v = (k: number) => row[k] ?? 0;
  return {
    ...was,
    rate: v(3),
    errorRate: v(4),
    p50Ms: v(5),
    p95Ms: v(6),
    p99Ms: v(7),
    inFlight: v(8),
    weight: v(9),
    cost: {
      total: v(10),
      latencyFactor: v(11),
      errorFactor: v(12),
      error: v(13),
      silence: v(14),
      capacity: v(15),
      veto: v(16),
      slowStart: v(17),
      latencyMs: v(18),
      inFlight: v(8),
    },
    facts: was.facts && row.length > 21 ? { ...was.facts, score: v(19), trust: v(20) } : was.facts,
    factsAt: row.length > 21 ? v(21) : was.factsAt,
  };
}

function weigh(s: LiveService) {
  const sum = s.instances.reduce((w, i) => w + i.weight, 0);
  s.instances = s.instances.map((i) => ({ ...i, fairShare: sum > 0 ? i.weight / sum : 0 }));
}

/** An instance's share of its service's requests. */
export const shareOf = (s: LiveService, i: LiveInstance): number => (s.rate > 0 ? Math.min(1, i.rate / s.rate) : 0);

/** The largest value of a service's last two minutes, at least 1. */
export function topOf(s: LiveService): number {
  let top = 1;
  for (const { points } of s.instances) for (const v of points.requests) if (v > top) top = v;
  return top;
}
