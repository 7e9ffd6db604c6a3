// Six windows of one browser: a browser gives one host six connections, and
// with a stream in each window the sixth could not load anything.
//
//   node e2e/windows.mjs http://127.0.0.1:8083
import { drive, never } from "./browser.mjs";

const windows = 7;

await drive(async ({ page, context, url, check }) => {
  const all = [page];
  while (all.length < windows) all.push(await context.newPage());
  const shows = async (title, what, ...arg) => {
    for (const [n, p] of all.entries()) {
      const ok = await p.waitForFunction(what, ...(arg.length > 0 ? arg : [undefined]), { polling: 200, timeout: never }).then(
        () => true,
        () => false,
      );
      check(`${title}: window ${n + 1} of ${windows}`, ok, ok ? "" : (await p.locator("body").textContent()).slice(0, 300));
    }
  };
  for (const p of all) await p.goto(url, { waitUntil: "commit" });
  const live = () => document.querySelectorAll("[data-instance]").length === 11 && document.querySelector(".connection.live") !== null;
  await shows("the overview is live", live);
  for (const p of all) await p.evaluate(() => (window.was = document.querySelector(".service-line .figures")?.parentElement?.parentElement?.parentElement?.textContent));
  await shows("and goes on", () => document.querySelector(".service-line .figures")?.parentElement?.parentElement?.parentElement?.textContent !== window.was);

  // A live stream of its own in each: more than there are connections. Calls work, and the window that is used is live.
  const topics = ["service-metrics", "health-status", "routing-decisions", "smartlb-node-status", "metrics-aggregated", "health-scores"];
  for (const [n, p] of all.entries()) await p.goto(n < topics.length ? `${url}/topics/${topics[n]}/messages` : `${url}/decisions`, { waitUntil: "commit" });
  await shows("with a list of its own the overview's facts are live", () => document.querySelector(".connection.live") !== null);
  await shows("and calls are answered", () => document.querySelector("main h1, h1") !== null && fetch("/api/v1/node").then((r) => r.ok));
  for (const [n, p] of all.entries()) {
    await p.bringToFront();
    await p.locator("h1").first().click();
    const ok = await p.waitForFunction(() => /live/.test(document.querySelector(".tail-status, .stream-state")?.textContent ?? ""), undefined, { polling: 200, timeout: never }).then(
      () => true,
      () => false,
    );
    check(`window ${n + 1} is live when it is used`, ok, await p.locator(".tail-status, .stream-state").first().textContent());
  }
  for (const p of all.slice(1)) await p.close();
  check("one window is left, and lives", await page.evaluate(() => fetch("/api/v1/node").then((r) => r.ok)));
});
