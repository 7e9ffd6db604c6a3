import { readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

/** CPU and memory of the process, as a share of what its cgroup (version 2) or else the machine permits. Linux only. */
export class Usage {
  #root;
  #before;

  /** root is replaced by tests only. */
  constructor(root = "/") {
    this.#root = root;
    const group = this.#group();
    const smallest = (...limits) => limits.filter((v) => v > 0).reduce((a, b) => Math.min(a, b), Infinity);
    this.cores = smallest(os.cpus().length || 1, ...this.#limits(group, "cpu.max", cpuMax));
    this.limit = smallest(this.#kilobytes("proc/meminfo", "MemTotal:"), ...this.#limits(group, "memory.max", number));
  }

  /** Returns the share of the CPU used since the previous call, undefined at the first call. now is in milliseconds. */
  cpu(now) {
    const { user, system } = process.cpuUsage(); // microseconds
    const before = this.#before;
    this.#before = { now, used: (user + system) / 1000 };
    if (before === undefined || now <= before.now) return undefined;
    return Math.min((this.#before.used - before.used) / (now - before.now) / this.cores, 1);
  }

  /** Returns the share of the memory used, undefined if it is not known. */
  memory() {
    const used = this.#kilobytes("proc/self/status", "VmRSS:");
    return used > 0 && this.limit < Infinity ? Math.min(used / this.limit, 1) : undefined;
  }

  #read(name) {
    try {
      return readFileSync(path.join(this.#root, name), "utf8");
    } catch {
      return "";
    }
  }

  #group() {
    const line = this.#read("proc/self/cgroup").split("\n").find((l) => l.startsWith("0::"));
    return path.posix.normalize("/" + (line?.slice(3) ?? ""));
  }

  /** Returns the limits of the group and of all groups above it: the smallest is in effect. */
  #limits(group, name, parse) {
    const found = [];
    for (let at = group; ; at = path.posix.dirname(at)) {
      found.push(parse(this.#read(path.join("sys/fs/cgroup", at, name)).trim()));
      if (at === "/" || at === ".") return found;
    }
  }

  #kilobytes(name, key) {
    const line = this.#read(name).split("\n").find((l) => l.startsWith(key));
    return 1024 * number(line?.split(/\s+/)[1] ?? "");
  }
}

const number = (s) => (/^\d+$/.test(s) ? Number(s) : NaN);

function cpuMax(s) {
  const [quota, period] = s.split(" ");
  return number(quota ?? "") / number(period ?? "");
}
