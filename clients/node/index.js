import { HEALTH_STATUS, SERVICE_METRICS, bucketOf, checkNames, reportHeaders, reportValue, statusValue } from "./messages.js";
import { Usage } from "./usage.js";

const STATES = ["HEALTHY", "DEGRADED", "UNHEALTHY", "DRAINING"];

/** Counts requests and publishes reports. See index.d.ts and README.md. */
export class Reporter {
  #settings;
  #publisher;
  #usage;
  #latencies = new Map();
  #errors = 0;
  #active = 0;
  #timer;
  #last;
  #state = "new";
  #complained = false;

  constructor({ serviceId, instanceId, publisher, address, tags, interval = 1000, utilization, inFlight, usage = true }) {
    checkNames({ serviceId, instanceId, address });
    if (!(interval >= 100 && interval <= 60_000)) throw new TypeError(`interval: ${interval} is not within 100 to 60000 ms`);
    if (typeof publisher?.publish !== "function") throw new TypeError("publisher: missing");
    if (Object.values(tags ?? {}).some((v) => typeof v !== "string")) throw new TypeError("tags: want texts");
    this.#settings = { serviceId, instanceId, address, tags: { ...tags }, interval, utilization, inFlight };
    this.#publisher = publisher;
    this.#usage = usage ? new Usage() : undefined;
  }

  start() {
    if (this.#state !== "new") throw new Error("the reporter was started before");
    this.#state = "running";
    if (this.#settings.address) this.status("HEALTHY");
    this.#last = performance.now();
    this.#usage?.cpu(this.#last);
    this.#report(this.#settings.interval); // an empty one: readers multiply rates by the time since the report before
    this.#next();
  }

  async close(timeout = 10_000) {
    if (this.#state === "closed") return;
    clearTimeout(this.#timer);
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
    const timeMs = Date.now();
    this.#publish(HEALTH_STATUS, statusValue({ ...this.#settings, timeMs, status }), {}, timeMs);
  }

  #next() {
    this.#timer = setTimeout(() => {
      const now = performance.now();
      this.#report(now - this.#last);
      this.#last = now;
      this.#next();
    }, this.#settings.interval * (0.9 + 0.2 * Math.random()));
    this.#timer.unref(); // it does not keep the process alive
  }

  #report(spanMs) {
    const timeMs = Date.now();
    const utilization = this.#call(this.#settings.utilization);
    const r = {
      ...this.#settings,
      timeMs,
      spanMs: Math.max(spanMs, 1),
      latencies: this.#latencies,
      errors: this.#errors,
      active: Math.trunc(this.#call(this.#settings.inFlight) ?? this.#active),
      cpu: this.#usage?.cpu(performance.now()),
      memory: this.#usage?.memory(),
      utilization: utilization === undefined ? undefined : Math.min(utilization, 1),
    };
    this.#latencies = new Map();
    this.#errors = 0;
    this.#publish(SERVICE_METRICS, reportValue(r), reportHeaders(r), timeMs);
  }

  #publish(topic, value, headers, timeMs) {
    if (this.#state === "closed") return;
    try {
      this.#catch("a report was lost", this.#publisher.publish({ topic, key: this.#settings.serviceId, value, headers, timeMs }));
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
