// Where the time of a scrolled frame goes, for several builds of the page in turn on one node. The page scrolls by script
// (each frame goes through the main thread) and by the wheel (the compositor moves what is there). Frames and processor
// time are measured without a trace; a trace tells apart script, style, layout, paint, raster and drawing.
//
// BUILDS is a list name=FOLDER,name=FOLDER of folders with a built page (internal/console/ui/dist). SCALE_ROUNDS: 3.
import { readFileSync } from "node:fs";
import http from "node:http";
import { extname, join } from "node:path";
import type { AddressInfo } from "node:net";
import type { Browser, CDPSession, Page } from "@playwright/test";
import { expect, setting, test } from "./console";
import { type Frames, frames } from "./frames";

test.skip(!process.env.BUILDS, "needs BUILDS, the built pages to compare");
test.use({ trace: "off" }); // a trace would be measured, too

const rounds = Number(process.env.SCALE_ROUNDS ?? 3);
const seconds = Number(process.env.SCALE_SECONDS ?? 6);
const kinds: Record<string, string> = { ".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml" };

/** A built page with the API of the node behind it. */
async function serve(dist: string, node: URL) {
  const server = http.createServer((ask, answer) => {
    const path = new URL(ask.url ?? "/", node).pathname;
    if (path.startsWith("/api/")) {
      const forward = http.request(new URL(ask.url ?? "/", node), { method: ask.method, headers: { ...ask.headers, host: node.host } }, (r) => {
        answer.writeHead(r.statusCode ?? 502, r.headers);
        r.pipe(answer);
      });
      forward.on("error", () => answer.destroy());
      answer.on("close", () => forward.destroy());
      ask.pipe(forward);
      return;
    }
    const file = extname(path) === "" ? "/index.html" : path;
    try {
      const body = readFileSync(join(dist, file));
      answer.writeHead(200, { "content-type": kinds[extname(file)] ?? "application/octet-stream" }).end(body);
    } catch {
      answer.writeHead(404).end();
    }
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return server;
}

const busy = async (s: CDPSession) => ((await s.send("Performance.getMetrics")).metrics.find((m) => m.name === "TaskDuration")?.value ?? 0) * 1000;

async function measured(session: CDPSession, f: () => Promise<Frames>) {
  const before = await busy(session);
  const r = await f();
  return { ...r, main: ((await busy(session)) - before) / r.frames };
}

const speed = 720; // px a second: a wheel in the hand of a reader, the same as 12 px in each of 60 frames

/** The wheel turns for as long as is measured. */
const wheel = (session: CDPSession) => session.send("Input.synthesizeScrollGesture", { x: 700, y: 500, yDistance: -speed * seconds, speed, gestureSourceType: "mouse", preventFling: true });

const categories = ["toplevel", "benchmark", "cc", "viz", "devtools.timeline", "disabled-by-default-devtools.timeline", "__metadata"];

type TraceEvent = { ph: string; name: string; pid: number; tid: number; ts: number; dur: number; tdur?: number; args: { name: string; frame_reporter?: Record<string, string> } };

async function traced(browser: Browser, f: () => Promise<Frames>) {
  await browser.startTracing(undefined, { categories });
  const begin = performance.now();
  const r = await f();
  const ms = performance.now() - begin;
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString()) as { traceEvents: TraceEvent[] };
  return { ...r, ms, events: traceEvents };
}

/** Events that contain each other, with what each used of the processor itself. */
function selfTimes(events: TraceEvent[]) {
  const by = new Map<string, number>();
  const add = (e: TraceEvent, us: number) => by.set(e.name, (by.get(e.name) ?? 0) + us);
  const open: TraceEvent[] = [];
  for (const e of events.filter((x) => x.ph === "X" && x.tdur !== undefined).sort((a, b) => a.ts - b.ts || b.dur - a.dur)) {
    let outer = open.at(-1);
    while (outer && outer.ts + outer.dur <= e.ts) {
      open.pop();
      outer = open.at(-1);
    }
    if (outer) add(outer, -(e.tdur ?? 0));
    add(e, e.tdur ?? 0);
    open.push(e);
  }
  return [...by].map(([name, us]) => [name, us / 1000] as const).sort((a, b) => b[1] - a[1]);
}

/** Processor time per thread, and on the page's main thread per kind of work, in ms per frame of the display. */
function read({ events, ms }: { events: TraceEvent[]; ms: number }) {
  const threads = new Map<string, string>();
  for (const e of events) if (e.ph === "M" && e.name === "thread_name") threads.set(`${e.pid}/${e.tid}`, e.args.name);
  const perThread = new Map<string, number>();
  const byThread = new Map<string, TraceEvent[]>();
  for (const e of events) {
    const key = `${e.pid}/${e.tid}`;
    const list = byThread.get(key);
    if (list) list.push(e);
    else byThread.set(key, [e]);
  }
  let main = { own: [] as ReturnType<typeof selfTimes>, total: -1 };
  for (const [key, list] of byThread) {
    const own = selfTimes(list);
    const total = own.reduce((a, [, v]) => a + v, 0);
    const name = (threads.get(key) ?? "?").replace(/\/\d+$/, "").replace(/Worker$|(ForegroundWorker).*/, "$1");
    perThread.set(name, (perThread.get(name) ?? 0) + total);
    if (name === "CrRendererMain" && total > main.total) main = { own, total };
  }
  // What became of the frames of the scroll, by the compositor's own report.
  const states: Record<string, number> = {};
  for (const { args } of events.filter((e) => e.name === "PipelineReporter" && e.ph === "b")) {
    const f = args.frame_reporter;
    if (!f || f.scroll_state === "SCROLL_NONE") continue;
    states[f.state] = (states[f.state] ?? 0) + 1;
    if (f.checkerboarded_needs_raster || f.checkerboarded_needs_record) states.checkerboarded = (states.checkerboarded ?? 0) + 1;
  }
  return { perThread: [...perThread].sort((a, b) => b[1] - a[1]), main, states, ms };
}

const median = (list: number[]) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const n1 = (v: number) => v.toFixed(1).padStart(6);

test("compares how built pages scroll", async ({ page, context, browser, network }) => {
  test.setTimeout(60 * 60_000);
  const builds = setting("BUILDS")
    .split(",")
    .map((b) => b.split("="));
  const node = new URL(network.url);
  const served: { name: string; server: http.Server }[] = [];
  for (const [name, dist] of builds) served.push({ name, server: await serve(dist, node) });
  type Results = Record<"rest" | "script" | "fly" | "wheel", (Frames & { main: number })[]>;
  const results: Record<string, Results> = Object.fromEntries(builds.map(([name]) => [name, { rest: [], script: [], fly: [], wheel: [] }]));
  const visit = async (s: { server: http.Server }, f: (p: Page, session: CDPSession) => Promise<void>) => {
    const p = await context.newPage();
    await p.goto(`http://127.0.0.1:${(s.server.address() as AddressInfo).port}/`);
    await p.waitForSelector("[data-instance]");
    await p.mouse.move(700, 500);
    await p.waitForTimeout(3000);
    const session = await context.newCDPSession(p);
    await session.send("Performance.enable", { timeDomain: "threadTicks" });
    try {
      return await f(p, session);
    } finally {
      await p.close();
    }
  };
  await page.goto("about:blank");
  for (let round = 0; round < rounds; round++) {
    for (const s of round % 2 ? served.toReversed() : served) {
      await visit(s, async (p, session) => {
        const r = results[s.name];
        const rest = await measured(session, () => frames(p, seconds * 1000, 0));
        const script = await measured(session, () => frames(p, seconds * 1000, 12));
        const fly = await measured(session, () => frames(p, seconds * 1000, 400));
        await p.evaluate(() => scrollTo(0, 0));
        await p.waitForTimeout(500);
        const [wheeled] = await Promise.all([measured(session, () => frames(p, seconds * 1000, 0)), wheel(session)]);
        r.rest.push(rest);
        r.script.push(script);
        r.fly.push(fly);
        r.wheel.push(wheeled);
        const show = (x: Frames & { main: number }) => `${x.fps.toFixed(0)}/s main ${x.main.toFixed(1)} p99 ${x.p99.toFixed(0)} longest ${x.longest.toFixed(0)}`;
        console.log(`     round ${round + 1} ${s.name.padEnd(8)} rest ${show(rest)} | 12 px ${show(script)} | 400 px ${show(fly)} | wheel ${show(wheeled)}`);
      });
    }
  }
  for (const [name, r] of Object.entries(results)) {
    for (const [kind, list] of Object.entries(r)) console.log(`     ${name.padEnd(8)} ${kind.padEnd(6)} median of ${list.length}: ${n1(median(list.map((x) => x.fps)))} frames/s, main thread ${n1(median(list.map((x) => x.main)))} ms a frame, p99 ${n1(median(list.map((x) => x.p99)))}, longest ${n1(median(list.map((x) => x.longest)))} ms`);
  }
  // The trace of each build
  for (const s of served) {
    for (const [kind, run] of [
      ["12 px a frame by script", (p: Page, _: CDPSession) => frames(p, seconds * 1000, 12)],
      ["720 px a second by the wheel", async (p: Page, session: CDPSession) => (await Promise.all([frames(p, seconds * 1000, 0), wheel(session)]))[0]],
    ] as const) {
      await visit(s, async (p, session) => {
        const t = await traced(browser, () => run(p, session));
        const { perThread, main, states, ms } = read(t);
        const per = (v: number) => n1((v / ms) * (1000 / 60));
        console.log(`     trace of ${s.name}, ${kind}: ${t.fps.toFixed(0)} main frames/s; frames of the compositor: ${JSON.stringify(states)} in ${(ms / 1000).toFixed(1)} s`);
        console.log(`       ms of processor per 1/60 s, by thread: ${perThread.filter(([, v]) => v / ms > 0.003).map(([n, v]) => `${n} ${per(v).trim()}`).join(", ")}`);
        console.log(`       main thread, ms per 1/60 s: ${main.own.filter(([, v]) => v / ms > 0.002).map(([n, v]) => `${n} ${per(v).trim()}`).join(", ")}`);
      });
    }
  }
  for (const s of served) {
    s.server.closeAllConnections();
    s.server.close();
  }
  for (const r of Object.values(results)) expect(r.script, "each build was measured in each round").toHaveLength(rounds);
});
