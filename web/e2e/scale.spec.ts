// The overview of a node with thousands of instances: what it costs the page. Measures frames per second at rest and while
// scrolling, the heap, and the bytes per second of the one stream; prints them, and checks what must hold on any machine.
// Figures are in bench/results.
import type { CDPSession } from "@playwright/test";
import { picture } from "./actions";
import { expect, test } from "./console";
import { type Frames, frames } from "./frames";

test.use({ trace: "off" }); // a trace would be measured, too

/** Adds the processor time of the page's main thread, in ms per frame, while f runs. Other programs do not change it. */
async function cpuPerFrame(session: CDPSession, f: () => Promise<Frames>) {
  const busy = async () => (await session.send("Performance.getMetrics")).metrics.find((m) => m.name === "TaskDuration")?.value ?? 0;
  const before = await busy();
  const r = await f();
  return { ...r, cpu: (((await busy()) - before) * 1000) / r.frames };
}

const seconds = Number(process.env.SCALE_SECONDS ?? 8);

const whole = (x: number) => x.toFixed(0);

test("shows thousands of instances in a small page", async ({ page, context }) => {
  await page.addInitScript(() => delete (globalThis as { SharedWorker?: unknown }).SharedWorker); // the page holds its stream itself, so that its bytes are counted
  const session = await context.newCDPSession(page);
  await session.send("Network.enable");
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  let wire = 0;
  let text = 0;
  const streams = new Set<string>();
  let others = 0;
  session.on("Network.requestWillBeSent", (e) => {
    if (e.request.url.includes("/overview/events")) streams.add(e.requestId);
    else if (e.request.url.includes("/api/")) others++;
  });
  session.on("Network.dataReceived", (e) => {
    if (!streams.has(e.requestId)) return;
    wire += Math.max(0, e.encodedDataLength);
    text += e.dataLength;
  });
  // What this machine can do now: a page of the same length with plain text.
  const plain = await context.newPage();
  await plain.setContent(`<body style="margin:0">${'<p style="height:34px;margin:0;border-top:1px solid #888">one of many lines, 12.3 requests/s, 45.6 ms</p>'.repeat(5000)}</body>`);
  const control = [await frames(plain, seconds * 500, 0), await frames(plain, seconds * 500, 12), await frames(plain, seconds * 500, 400)];
  await plain.close();
  await page.goto("/");
  await page.locator("[data-instance]").first().waitFor();
  const first = { wire, text };
  const total = await page.evaluate(async () => {
    const services = (await (await fetch("/api/v1/services")).json()) as { instances: unknown[] }[];
    return { services: services.length, instances: services.reduce((n, s) => n + s.instances.length, 0) };
  });
  expect(total.instances, `${total.instances} instances in ${total.services} services`).toBeGreaterThanOrEqual(1000);
  const rows = await page.locator("[data-instance]").count();
  expect(rows, "only what is seen is in the page").toBeLessThan(80);
  await page.waitForTimeout(3000);
  others = 0;
  const at = { wire, text };
  const rest = await cpuPerFrame(session, () => frames(page, seconds * 1000, 0));
  const flow = { wire: (wire - at.wire) / seconds, text: (text - at.text) / seconds };
  expect(streams.size, "one stream, and no other calls").toBe(1);
  expect(others, "one stream, and no other calls").toBe(0);
  const scrolled = await cpuPerFrame(session, () => frames(page, seconds * 1000, 12));
  const fast = await cpuPerFrame(session, () => frames(page, seconds * 1000, 400));
  await expect(page, "rows that rushed by as names are whole when there is time").toSatisfy(() => document.querySelectorAll("[data-instance] .spark").length > 10 && !document.querySelector(".instances-body .instance:not([data-instance])"));
  await session.send("HeapProfiler.collectGarbage");
  const heap = (await session.send("Runtime.getHeapUsage")).usedSize;
  console.log(
    `     first event ${(first.wire / 1024).toFixed(0)} KiB on the wire (${(first.text / 1024).toFixed(0)} KiB of text), then ${(flow.wire / 1024).toFixed(1)} KiB/s (${(flow.text / 1024).toFixed(0)} KiB/s of text)`,
  );
  console.log(`     frames per second: at rest ${whole(rest.fps)}, scrolling ${whole(scrolled.fps)}, flying ${whole(fast.fps)}; longest pause ${whole(rest.longest)}, ${whole(scrolled.longest)}, ${whole(fast.longest)} ms; p99 ${whole(rest.p99)}, ${whole(scrolled.p99)}, ${whole(fast.p99)} ms`);
  console.log(`     main thread per frame: at rest ${rest.cpu.toFixed(1)}, scrolling ${scrolled.cpu.toFixed(1)}, flying ${fast.cpu.toFixed(1)} ms of processor time; 16.7 is what 60 frames leave`);
  console.log(`     the same machine with 5,000 lines of plain text: ${control.map((c) => whole(c.fps)).join(", ")}; longest pause ${control.map((c) => whole(c.longest)).join(", ")} ms`);
  console.log(`     heap after collection ${(heap / 1024 / 1024).toFixed(1)} MiB`);
  expect(heap, "the heap stays small").toBeLessThan(200 * 1024 * 1024);
  await page.evaluate(() => scrollTo(0, 0));
  await expect(page, "5,000 instances").toBeSteady();
  await expect(page, "5,000 instances").toBeAccessible();
  await picture(page, "scale");
});

test("finds one of thousands of instances", async ({ page }) => {
  await page.goto("/");
  await page.locator("[data-instance]").first().waitFor();
  await page.getByLabel("Go to a service").selectOption("s42");
  await expect(page, "going to a service shows it").toSatisfy(() => {
    const r = document.querySelector('[data-service="s42"]')?.getBoundingClientRect();
    return r !== undefined && r.top >= 0 && r.top < innerHeight / 2;
  });
  await expect(page, "and is in the address").toHaveURL((u) => u.searchParams.get("at") === "s42");
  await page.getByPlaceholder("Filter  /").fill("s77-i13");
  await expect(page.locator("[data-instance]"), "the filter leaves one instance").toHaveCount(1);
  await page.getByPlaceholder("Filter  /").fill("");
  await page.getByRole("button", { name: "Fold all" }).click();
  await expect(page, "folded: services alone").toSatisfy(() => document.querySelectorAll("[data-instance]").length === 0 && document.querySelectorAll("[data-service]").length > 10);
  await page.getByRole("button", { name: "s1", exact: true }).click();
  await expect(page.locator('[data-instance="s1-i1"]').first(), "one is opened").toBeAttached();
  await expect(page, "the folds are in the address").toHaveURL((u) => /closed=/.test(u.search));
  await page.goto("/instances/s88/s88-i40");
  await expect(page, "a deep link brings its row into sight").toSatisfy(() => {
    const r = document.querySelector('[data-instance="s88-i40"]')?.getBoundingClientRect();
    return r !== undefined && r.top > 0 && r.bottom < innerHeight;
  });
});
