// Where the time of a scrolled frame goes, of two builds of the page in turn on
// one node: the page scrolls by script (each frame goes through the main
// thread) and by the wheel (the compositor moves what is there). Frames and processor time are measured without a trace; a
// trace tells apart script, style, layout, paint, raster and drawing.
//
//   node e2e/scroll.mjs http://127.0.0.1:8083 "" name=DIST name=DIST [more]
//
// DIST is a folder with a built page (internal/console/ui/dist). SCALE_ROUNDS: 3.
import { readFileSync } from "node:fs";
import http from "node:http";
import { extname, join } from "node:path";
import { drive } from "./browser.mjs";
import { frames } from "./frames.mjs";

const rounds = Number(process.env.SCALE_ROUNDS ?? 3);
const seconds = Number(process.env.SCALE_SECONDS ?? 6);
const builds = process.argv.slice(4).map((a) => a.split("="));
const kinds = { ".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml" };

/** A built page with the API of the node behind it. */
async function serve(dist, node) {
  const server = http.createServer((ask, answer) => {
    const path = new URL(ask.url, node).pathname;
    if (path.startsWith("/api/")) {
      const forward = http.request(new URL(ask.url, node), { method: ask.method, headers: { ...ask.headers, host: node.host } }, (r) => {
        answer.writeHead(r.statusCode, r.headers);
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
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return server;
}

const busy = async (s) => (await s.send("Performance.getMetrics")).metrics.find((m) => m.name === "TaskDuration").value * 1000;

async function measured(session, f) {
  const before = await busy(session);
  const r = await f();
  return { ...r, main: ((await busy(session)) - before) / r.frames };
}

const speed = 720; // px a second: a wheel in the hand of a reader, the same as 12 px in each of 60 frames

/** The wheel turns for as long as is measured. */
const wheel = (session) => session.send("Input.synthesizeScrollGesture", { x: 700, y: 500, yDistance: -speed * seconds, speed, gestureSourceType: "mouse", preventFling: true });

const categories = ["toplevel", "benchmark", "cc", "viz", "devtools.timeline", "disabled-by-default-devtools.timeline", "__metadata"];

async function traced(browser, f) {
  await browser.startTracing(undefined, { categories });
  const begin = performance.now();
  const r = await f();
  const ms = performance.now() - begin;
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString());
  return { ...r, ms, events: traceEvents };
}

/** Events that contain each other, with what each used of the processor itself. */
function selfTimes(events) {
  const by = new Map();
  const open = [];
  for (const e of events.filter((x) => x.ph === "X" && x.tdur !== undefined).sort((a, b) => a.ts - b.ts || b.dur - a.dur)) {
    while (open.length > 0 && open.at(-1).ts + open.at(-1).dur <= e.ts) open.pop();
    if (open.length > 0) by.set(open.at(-1).name, (by.get(open.at(-1).name) ?? 0) - e.tdur);
    by.set(e.name, (by.get(e.name) ?? 0) + e.tdur);
    open.push(e);
  }
  return [...by].map(([name, us]) => [name, us / 1000]).sort((a, b) => b[1] - a[1]);
}

/** Processor time per thread, and on the page's main thread per kind of work, in ms per frame of the display. */
function read({ events, ms }) {
  const threads = new Map();
  for (const e of events) if (e.ph === "M" && e.name === "thread_name") threads.set(`${e.pid}/${e.tid}`, e.args.name);
  const perThread = new Map();
  const byThread = new Map();
  for (const e of events) {
    const key = `${e.pid}/${e.tid}`;
    if (!byThread.has(key)) byThread.set(key, []);
    byThread.get(key).push(e);
  }
  let main = null;
  for (const [key, list] of byThread) {
    const own = selfTimes(list);
    const total = own.reduce((a, [, v]) => a + v, 0);
    const name = (threads.get(key) ?? "?").replace(/\/\d+$/, "").replace(/Worker$|(ForegroundWorker).*/, "$1");
    perThread.set(name, (perThread.get(name) ?? 0) + total);
    if (name === "CrRendererMain" && (!main || total > main.total)) main = { own, total };
  }
  // What became of the frames of the scroll, by the compositor's own report.
  const states = {};
  for (const { args } of events.filter((e) => e.name === "PipelineReporter" && e.ph === "b")) {
    const f = args?.frame_reporter;
    if (!f || f.scroll_state === "SCROLL_NONE") continue;
    states[f.state] = (states[f.state] ?? 0) + 1;
    if (f.checkerboarded_needs_raster || f.checkerboarded_needs_record) states.checkerboarded = (states.checkerboarded ?? 0) + 1;
  }
  return { perThread: [...perThread].sort((a, b) => b[1] - a[1]), main, states, ms };
}

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const n1 = (v) => v.toFixed(1).padStart(6);

await drive(async ({ page, context, url, check }) => {
  const node = new URL(url);
  const served = [];
  for (const [name, dist] of builds) served.push({ name, server: await serve(dist, node) });
  const results = Object.fromEntries(builds.map(([name]) => [name, { rest: [], script: [], fly: [], wheel: [] }]));
  const visit = async (s, f) => {
    const p = await context.newPage();
    await p.goto(`http://127.0.0.1:${s.server.address().port}/`);
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
        const show = (x) => `${x.fps.toFixed(0)}/s main ${x.main.toFixed(1)} p99 ${x.p99.toFixed(0)} longest ${x.longest.toFixed(0)}`;
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
      ["12 px a frame by script", (p) => frames(p, seconds * 1000, 12)],
      ["720 px a second by the wheel", async (p, session) => (await Promise.all([frames(p, seconds * 1000, 0), wheel(session)]))[0]],
    ]) {
      await visit(s, async (p, session) => {
        const t = await traced(context.browser(), () => run(p, session));
        const { perThread, main, states, ms } = read(t);
        const per = (v) => n1((v / ms) * (1000 / 60));
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
  check("both were measured", Object.values(results).every((r) => r.script.length === rounds));
  await page.goto(url); // the checks at the end look at a page of the console
});
