// Takes the pictures of docs/console.md: every view of a running demo, dark and
// light. Break user-service-3 half a minute before, so that there is something
// to see.
//
//   node e2e/pictures.mjs http://127.0.0.1:8083 ../docs/images/console
//
// With widths (360,768,1440,3840) as a third argument: every view in each of
// them, dark, in the folder, to be looked at; it says which are too wide.
import { chromium } from "playwright-core";

const [url, folder, widths] = process.argv.slice(2);
const views = {
  overview: "/",
  instance: "/instances/user-service/user-service-3",
  decisions: "/decisions",
  alerts: "/alerts",
  configuration: "/configuration",
  audit: "/audit",
  demo: "/demo",
  topics: "/topics",
  topic: "/topics/service-metrics",
  messages: "/topics/service-metrics/messages?from=newest&where=value.metrics.p95Latency+%3E+200.0",
  consumers: "/topics/service-metrics/consumers",
  settings: "/topics/service-metrics/settings",
  schema: "/topics/service-metrics/schema",
  groups: "/groups",
  group: "/groups/smartlb-analyzer",
  plan: "/plan",
  brokers: "/cluster",
  health: "/health",
  connect: "/connectors",
};
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"] });
const visits = widths ? widths.split(",").map((w) => ({ width: Number(w), colorScheme: "dark", suffix: w })) : ["dark", "light"].map((c) => ({ width: 1440, colorScheme: c, suffix: c }));
const heights = (width) => (width < 500 ? 740 : width > 3000 ? 2160 : 900);
for (const { width, colorScheme, suffix } of visits) {
  const page = await (await browser.newContext({ viewport: { width, height: heights(width) }, colorScheme })).newPage();
  for (const [name, path] of Object.entries(views)) {
    await page.goto(url + path);
    await page.waitForTimeout(3_000);
    await page.screenshot({ path: `${folder}/${name}-${suffix}.png` });
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    console.log(`${name}-${suffix}${over > 0 ? `: ${over} px too wide` : ""}`);
  }
}
await browser.close();
