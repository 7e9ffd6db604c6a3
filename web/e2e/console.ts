// What every browser test gets: a page of its own on the console at CONSOLE_URL, whose scripts must not fail or
// complain, and the fixtures below.
import { test as base, type APIRequestContext, type BrowserContext, type Page } from "@playwright/test";
import { expect } from "./matchers";
import { Network } from "./network";

export { expect } from "./matchers";

declare global {
  interface Window {
    /** What the observers of every page have recorded since the page was loaded. */
    seen: { moved: { value: number; at: number; what: string }[]; violations: string[] };
  }
}

/** The value of an environment variable that the test cannot run without. */
export function setting(name: string) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; the Go test of this spec in test/e2e sets it`);
  return value;
}

/** An instance of the demo that tests break. */
export const sick = "user-service-3";

/** The console's HTTP API. A call that the console refuses throws. */
export class Api {
  constructor(private readonly request: APIRequestContext) {}

  get(path: string) {
    return this.call("GET", path);
  }

  post(path: string, data: object) {
    return this.call("POST", path, data);
  }

  put(path: string, data: object) {
    return this.call("PUT", path, data);
  }

  delete(path: string) {
    return this.call("DELETE", path);
  }

  /** Makes an instance answer every request with an error at once. */
  async break(instance: string) {
    await this.post(`/demo/instances/${instance}/fault`, { errorRate: 1, latencyMs: 1 });
  }

  async heal(instance: string) {
    await this.post(`/demo/instances/${instance}/fault`, { heal: true });
  }

  /** Deletes a topic, if an earlier run has left it. */
  async removeTopic(name: string) {
    if ((await this.get("/topics")).some((t: { name: string }) => t.name === name)) await this.delete(`/topics/${name}`);
  }

  private async call(method: string, path: string, data?: object): Promise<any> {
    // Calls come minutes apart: the server may close a kept connection while the next one is on its way.
    const response = await this.request.fetch(`/api/v1${path}`, { method, headers: { connection: "close" }, ...(data && { data }) });
    if (!response.ok()) throw new Error(`${method} ${path}: ${response.status()} ${await response.text()}`);
    return response.json();
  }
}

type Fixtures = {
  /** Messages of the browser's own console, as "text (address)", that are part of the test. */
  allowedMessages: RegExp | undefined;
  network: Network;
  api: Api;
  /** The id of an instance of the demo that is broken until the test ends. */
  broken: string;
  /** Opens a page in a context of its own: a browser opens six connections to one host, and every page holds a stream. */
  otherPage: () => Promise<Page>;
};

export const test = base.extend<Fixtures>({
  allowedMessages: [undefined, { option: true }],
  network: async ({}, use) => {
    const network = new Network(new URL(setting("CONSOLE_URL")));
    await network.start();
    await use(network);
    await network.stop();
  },
  baseURL: async ({ network }, use) => use(network.url),
  api: async ({ request }, use) => use(new Api(request)),
  broken: async ({ api }, use) => {
    await api.break(sick);
    await use(sick);
    await api.heal(sick);
  },
  otherPage: async ({ browser, network }, use) => {
    const contexts: BrowserContext[] = [];
    await use(async () => {
      const context = await browser.newContext({ baseURL: network.url });
      contexts.push(context);
      return context.newPage();
    });
    for (const c of contexts) await c.close();
  },
  page: async ({ page, context, network, allowedMessages }, use) => {
    const messages: string[] = [];
    context.on("console", (m) => {
      const text = `${m.text()} (${m.location().url})`;
      // On a busy machine, Kafka sometimes takes longer to respond than a page waits. The page then asks again.
      const slow = /the server responded with a status of 503/.test(text);
      if (["error", "warning"].includes(m.type()) && !network.wasCut && !slow && !allowedMessages?.test(text)) messages.push(text);
    });
    context.on("weberror", (e) => messages.push(e.error().message));
    await context.addInitScript(observe);
    const rate = Number(process.env.E2E_THROTTLE ?? 1);
    if (rate > 1) {
      // The page's own work takes as long as on a machine that is so many times slower.
      await (await context.newCDPSession(page)).send("Emulation.setCPUThrottlingRate", { rate });
    }
    await use(page);
    expect(messages, "the browser's console is quiet and no script fails").toEqual([]);
    expect(await page.evaluate(() => (window.seen as Window["seen"] | undefined)?.violations ?? []), "the content security policy is kept").toEqual([]);
  },
});

/** Runs in every page before its scripts: records what moves although the user did nothing, and violations of the content security policy. */
function observe() {
  window.seen = { moved: [], violations: [] };
  // What the user changes is drawn with the next frames. The browser itself leaves out half a second, in which a busy
  // machine may not have drawn a frame.
  const acts: { from: number; to: number }[] = [];
  const act = (e: Event) => {
    const a = { from: e.timeStamp, to: Number.POSITIVE_INFINITY };
    acts.push(a);
    requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => (a.to = performance.now()))));
  };
  for (const kind of ["pointerdown", "click", "keydown", "popstate", "resize"]) addEventListener(kind, act, true);
  type Shift = PerformanceEntry & { hadRecentInput: boolean; value: number; sources?: { node: Element | null }[] };
  new PerformanceObserver((list) => {
    for (const e of list.getEntries() as Shift[]) {
      const of = (e.sources ?? []).map((s) => s.node);
      // Rows of a list change places while no pointer is over them: the newest row is first.
      const inList = of.length > 0 && of.every((n) => !n || n.parentElement?.closest(".vbody"));
      if (e.hadRecentInput || acts.some((a) => a.from <= e.startTime && e.startTime <= a.to) || inList) continue;
      window.seen.moved.push({ value: e.value, at: e.startTime, what: of.map((n) => n?.className || n?.nodeName).slice(0, 5).join() });
    }
  }).observe({ type: "layout-shift", buffered: true });
  addEventListener("securitypolicyviolation", (e) => window.seen.violations.push(`${e.violatedDirective} ${e.blockedURI}`));
}
