import { HEALTH_STATUS, SERVICE_METRICS, bucketOf, checkNames, reportHeaders, reportValue, statusValue } from "./messages.js";
import { Pace } from "./pace.js";
import { HEADER_SIGNATURE, signer } from "./signing.js";
import { Usage } from "./usage.js";

const STATES = ["HEALTHY", "DEGRADED", "UNHEALTHY", "DRAINING"];
const REPEAT_MS = 10_000; // between two messages with a status other than HEALTHY: smartlb believes one for 30 s

/** Counts requests and publishes reports. See index.d.ts and README.md. */
export class Reporter {
  #settings;
  #publisher;
  #usage;
  #latencies = new Map();
  #errors = 0;
  #active = 0;
  #timer;
  #repeater;
  #pace;
  #sign;
  #seen = { requests: 0, errors: 0 }; // since the last report, at the measurement before
  #reported; // when
  #status = "HEALTHY";
  #said = 0; // when the status was sent
  #repeatMs;
  #state = "new";
  #complained = false;

  constructor({ serviceId, instanceId, publisher, address, tags, interval = 1000, steady = Math.max(30_000, interval), utilization, inFlight, usage = true, signingKey, repeatMs = REPEAT_MS }) {
    checkNames({ serviceId, instanceId, address });
    if (!(interval >= 100 && interval <= 60_000)) throw new TypeError(`interval: ${interval} is not within 100 to 60000 ms`);
    if (!(steady >= interval && steady <= 60_000)) throw new TypeError(`steady: ${steady} is not within interval to 60000 ms`);
    if (typeof publisher?.publish !== "function") throw new TypeError("publisher: missing");
    if (Object.values(tags ?? {}).some((v) => typeof v !== "string")) throw new TypeError("tags: want texts");
    this.#settings = { serviceId, instanceId, address, tags: { ...tags }, interval, utilization, inFlight };
    this.#publisher = publisher;
    this.#pace = new Pace(interval, steady);
    this.#sign = signingKey === undefined ? undefined : signer(signingKey);
    this.#repeatMs = repeatMs; // set by tests only
    this.#usage = usage ? new Usage() : undefined;
  }

  start() {
    if (this.#state !== "new") throw new Error("the reporter was started before");
    this.#state = "running";
    if (this.#settings.address) this.status(this.#status);
    const now = performance.now();
    this.#reported = now - this.#settings.interval;
    this.#usage?.cpu(now);
    this.#look(now); // an empty report: readers multiply rates by the time since the report before
    this.#next();
    this.#repeater = setInterval(() => {
      if (this.#status !== "HEALTHY" && performance.now() - this.#said >= this.#repeatMs) this.status(this.#status);
    }, this.#repeatMs);
    this.#repeater.unref();
  }

  async close(timeout = 10_000) {
    if (this.#state === "closed") return;
    clearTimeout(this.#timer);
    clearInterval(this.#repeater);
    if (this.#state === "running" && this.#settings.address) this.status("DRAINING");
    this.#state = "closed";
    await this.#publisher.close?.(timeout);
  }

  observe(ms, failed = false) {
    if (failed) {
      this.#errors++;
      return;
    }
    const bucket = bucketOf(ms);
    this.#latencies.set(bucket, (this.#latencies.get(bucket) ?? 0) + 1);
  }

  request() {
    const began = performance.now();
    let ended = false;
    this.#active++;
    return (failed = false) => {
      if (ended) return;
      ended = true;
      this.#active--;
      this.observe(performance.now() - began, failed);
    };
  }

  middleware() {
    return (req, res, next) => {
      const end = this.request();
      if (res.destroyed) end(); // the client left before: there is no close event any more
      else res.once("close", () => end(res.statusCode >= 500));
      next?.();
    };
  }

  status(status) {
    if (!STATES.includes(status)) throw new TypeError(`status: ${JSON.stringify(status)} is not known`);
    this.#status = status;
    this.#said = performance.now();
    const timeMs = Date.now();
    this.#publish(HEALTH_STATUS, statusValue({ ...this.#settings, timeMs, status }), {}, timeMs);
  }

  #next() {
    this.#timer = setTimeout(() => {
      const now = performance.now();
      this.#look(now);
      this.#next();
    }, this.#settings.interval * (0.9 + 0.2 * Math.random()));
    this.#timer.unref(); // it does not keep the process alive
  }

  /** Measures, and reports if a report is due. */
  #look(now) {
    const utilization = this.#call(this.#settings.utilization);
    const errors = this.#errors;
    const requests = [...this.#latencies.values()].reduce((n, count) => n + count, errors);
    const look = {
      now,
      requests: requests - this.#seen.requests,
      errors: errors - this.#seen.errors,
      cpu: this.#usage?.cpu(now),
      utilization: utilization === undefined ? undefined : Math.min(utilization, 1),
    };
    this.#seen = { requests, errors };
    if (this.#pace.due(look)) this.#report(now, requests);
  }

  #report(now, requests) {
    const timeMs = Date.now();
    const r = {
      ...this.#settings,
      timeMs,
      spanMs: Math.max(now - this.#reported, 1),
      latencies: this.#latencies,
      errors: this.#errors,
      active: Math.trunc(this.#call(this.#settings.inFlight) ?? this.#active),
      cpu: this.#pace.cpu.value,
      memory: this.#usage?.memory(),
      utilization: this.#pace.utilization.value,
    };
    this.#latencies = new Map();
    this.#errors = 0;
    this.#seen = { requests: 0, errors: 0 };
    this.#reported = now;
    this.#pace.reported(now, requests / (r.spanMs / 1000), requests > 0 ? r.errors / requests : 0);
    this.#publish(SERVICE_METRICS, reportValue(r), reportHeaders(r), timeMs);
  }

  #publish(topic, value, headers, timeMs) {
    if (this.#state === "closed") return;
    const key = this.#settings.serviceId;
    const signed = this.#sign ? { ...headers, [HEADER_SIGNATURE]: this.#sign(topic, key, value, timeMs) } : headers;
    try {
      this.#catch("a report was lost", this.#publisher.publish({ topic, key, value, headers: signed, timeMs }));
    } catch (error) {
      this.#complain("a report was lost", error); // a broken publisher must not end the service
    }
  }

  /** Returns a number of the application, undefined if it is not known. */
  #call(f) {
    if (f === undefined) return undefined;
    try {
      const result = f();
      this.#catch("a callback of the reporter failed; its number is not reported", result);
      const v = Number(result);
      return v >= 0 && v < 1e15 ? v : undefined;
    } catch (error) {
      this.#complain("a callback of the reporter failed; its number is not reported", error);
      return undefined;
    }
  }

  /** Handles the error of a promise, which would end the process. */
  #catch(what, result) {
    if (typeof result?.then === "function") result.then(undefined, (error) => this.#complain(what, error));
  }

  #complain(what, error) {
    if (this.#complained) return;
    this.#complained = true;
    process.emitWarning(`smartlb-report: ${what}: ${error?.message ?? error}`);
  }
}
