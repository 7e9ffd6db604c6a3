// Takes the pictures of docs/console.md: every view of a running demo, dark and
// light. Break user-service-3 half a minute before, so that there is something
// to see.
//
//   node e2e/pictures.mjs http://127.0.0.1:8083 ../docs/images/console
import { chromium } from "playwright-core";

const [url, folder] = process.argv.slice(2);
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
for (const colorScheme of ["dark", "light"]) {
  const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme })).newPage();
  for (const [name, path] of Object.entries(views)) {
    await page.goto(url + path);
    await page.waitForTimeout(3_000);
    await page.screenshot({ path: `${folder}/${name}-${colorScheme}.png` });
    console.log(`${name}-${colorScheme}`);
  }
}
await browser.close();
