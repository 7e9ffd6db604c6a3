// Takes the pictures of docs/console.md: every view of a running demo, dark and light, into the folder PICTURES. Break
// user-service-3 half a minute before, so that there is a problem to see. With WIDTHS (360,768,1440,3840) it takes every
// view in each width, dark, and prints which are too wide; those pictures are to be looked at, not to be published.
import { expect, test } from "@playwright/test";

const folder = process.env.PICTURES;
const widths = process.env.WIDTHS?.split(",").map(Number);

const views = {
  overview: "/",
  instance: "/instances/user-service/user-service-3",
  decisions: "/decisions",
  requests: "/requests", // with SMARTLB_PROXY_ACCESS_LOG_OPTIONS_KAFKA=true
  capacity: "/capacity",
  "capacity-of-one": "/capacity/user-service",
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
const height = (width: number) => (width < 500 ? 740 : width > 3000 ? 2160 : 900);
const visits = widths ? widths.map((width) => ({ width, colorScheme: "dark" as const, suffix: String(width) })) : (["dark", "light"] as const).map((colorScheme) => ({ width: 1440, colorScheme, suffix: colorScheme }));

test.skip(!folder, "needs PICTURES, the folder for the pictures");
test.use({ baseURL: process.env.CONSOLE_URL ?? "", trace: "off" });

for (const { width, colorScheme, suffix } of visits) {
  for (const [name, path] of Object.entries(views)) {
    test(`${name}-${suffix}`, async ({ page }) => {
      await page.setViewportSize({ width, height: height(width) });
      await page.emulateMedia({ colorScheme });
      await page.goto(path);
      await page.waitForTimeout(3_000); // rates and charts need some events
      await page.screenshot({ path: `${folder}/${name}-${suffix}.png` });
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), "px too wide").toBeLessThanOrEqual(0);
    });
  }
}
