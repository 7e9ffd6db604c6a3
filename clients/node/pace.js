// When the next report is due. Nothing here reads a clock.

// A report is due before its pause ends if one of these is exceeded. The package for Go has the same rules.
const USAGE_STEP = 0.15; // CPU or utilization differs by this from the last report
const ERROR_STEP = 0.2; // the share of failed requests differs by this from the last report
const RATE_SIGMAS = 6; // the number of requests is this many standard deviations from the number expected at the reported rate, and
const RATE_STEP = 0.5; // differs by this share of the expected number

/** The mean of the measurements since the last report. */
class Mean {
  #sum = 0;
  #n = 0;
  add(v) {
    if (v === undefined) return;
    this.#sum += v;
    this.#n++;
  }
  get value() {
    return this.#n > 0 ? this.#sum / this.#n : undefined;
  }
}

/** While load, errors and usage do not change, the pause between reports doubles, from interval up to steady. Times are in milliseconds. */
export class Pace {
  cpu = new Mean();
  utilization = new Mean();
  #interval;
  #steady;
  #at; // of the measurement before
  #next = 0;
  #pause = 0;
  #changed = false;
  #last = { rps: 0, failed: 0 };

  constructor(interval, steady) {
    this.#interval = interval;
    this.#steady = steady;
  }

  /** Notes a measurement: requests and errors since the one before, and the usage. Returns whether a report is due. */
  due({ now, requests, errors, cpu, utilization }) {
    this.cpu.add(cpu);
    this.utilization.add(utilization);
    const before = this.#at;
    this.#at = now;
    this.#changed = before === undefined || this.#differs(now - before, requests, errors, cpu, utilization);
    return this.#changed || now >= this.#next - this.#interval / 2;
  }

  #differs(spanMs, requests, errors, cpu, utilization) {
    if (apart(cpu, this.#last.cpu) || apart(utilization, this.#last.utilization)) return true;
    const expected = (this.#last.rps * spanMs) / 1000;
    const off = Math.abs(requests - expected);
    if (off > RATE_SIGMAS * Math.sqrt(Math.max(requests, expected, 1)) && off > RATE_STEP * expected) return true;
    return requests > 0 && Math.abs(errors / requests - this.#last.failed) >= ERROR_STEP;
  }

  /** Notes that a report was sent: requests per second and the share of failures since the one before. */
  reported(now, rps, failed) {
    this.#pause = Math.min(2 * this.#pause, this.#steady);
    if (this.#changed || this.#pause < this.#interval) this.#pause = this.#interval;
    this.#next = now + this.#pause;
    this.#last = { rps, failed, cpu: this.cpu.value, utilization: this.utilization.value };
    this.cpu = new Mean();
    this.utilization = new Mean();
  }
}

function apart(a, b) {
  if (a === undefined || b === undefined) return a !== b;
  return Math.abs(a - b) >= USAGE_STEP;
}
