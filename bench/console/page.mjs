// Opens a message of 10 MB in the console and says as JSON how long it took.
//
//   node bench/console/page.mjs http://127.0.0.1:8083
import { createRequire } from "node:module";

const { chromium } = createRequire(new URL("../../web/package.json", import.meta.url))("@playwright/test");
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
await page.addInitScript(() => {
  window.longest = 0;
  new PerformanceObserver((list) => {
    for (const e of list.getEntries()) window.longest = Math.max(window.longest, e.duration);
  }).observe({ type: "longtask", buffered: true });
});
const since = (t) => performance.now() - t;
let t = performance.now();
await page.goto(`${process.argv[2]}/topics/big/messages?from=start`);
await page.waitForFunction(() => document.querySelectorAll(".message").length === 3);
const RowsMs = since(t);
const part = (n) => page.waitForFunction((from) => (document.querySelector(".parts-bar")?.textContent ?? "").replace(/\D+/g, " ").trim().startsWith(from), n, { polling: 20 });
t = performance.now();
await page.locator(".message").nth(1).click();
await part("0 65 536");
const OpenMs = since(t);
t = performance.now();
await page.getByRole("button", { name: "Later" }).click();
await part("65 536");
const LaterMs = since(t);
const cdp = await page.context().newCDPSession(page);
await cdp.send("Performance.enable");
await cdp.send("HeapProfiler.collectGarbage");
const { metrics } = await cdp.send("Performance.getMetrics");
const HeapMiB = metrics.find((m) => m.name === "JSHeapUsedSize").value / 2 ** 20;
const LongTask = await page.evaluate(() => window.longest);
console.log(JSON.stringify({ RowsMs, OpenMs, LaterMs, HeapMiB, LongTask }));
await browser.close();
