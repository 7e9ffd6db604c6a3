// Seven windows of one browser. A browser opens six connections to one host, so with a stream in each window the seventh
// could not load anything.
import { expect, test } from "./console";

const count = 7;
const topics = ["service-metrics", "health-status", "routing-decisions", "smartlb-node-status", "metrics-aggregated", "health-scores"];

test("are all live", async ({ page, context }) => {
  const windows = [page];
  while (windows.length < count) windows.push(await context.newPage());
  const all = async (what: string, condition: (argument: never) => unknown, argument: (n: number) => unknown = () => undefined) => {
    for (const [n, p] of windows.entries()) await expect(p, `${what}: window ${n + 1} of ${count}`).toSatisfy(condition, argument(n));
  };
  for (const p of windows) await p.goto("/", { waitUntil: "commit" });
  await all("the overview is live", () => document.querySelectorAll("[data-instance]").length === 11 && document.querySelector(".connection.live") !== null);
  const shown: (string | null)[] = [];
  for (const p of windows) shown.push(await p.locator("main").textContent());
  await all("and goes on", (was: string) => document.querySelector("main")?.textContent !== was, (n) => shown[n]);

  // A live list in each: more streams than connections. Calls work, and the window that is used is live.
  for (const [n, p] of windows.entries()) await p.goto(n < topics.length ? `/topics/${topics[n]}/messages` : "/decisions", { waitUntil: "commit" });
  await all("with a list of its own the overview's facts are live", () => document.querySelector(".connection.live") !== null);
  await all("and calls are answered", () => document.querySelector("h1") !== null && fetch("/api/v1/node").then((r) => r.ok));
  for (const [n, p] of windows.entries()) {
    await p.bringToFront();
    await p.locator("h1").first().click();
    await expect(p.locator(".tail-status, .stream-state").first(), `window ${n + 1} is live when it is used`).toContainText("live");
  }
  for (const p of windows.slice(1)) await p.close();
  expect(await page.evaluate(() => fetch("/api/v1/node").then((r) => r.ok)), "one window is left, and works").toBe(true);
});
