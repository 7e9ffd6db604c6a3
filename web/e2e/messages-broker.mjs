// A broker that dies and comes back while messages are looked at: the last
// argument is where it can be told to. The topic "orders" has two messages.
import { drive } from "./browser.mjs";

const control = process.argv[4];
const tell = (what) => fetch(`${control}/${what}`).then((r) => (r.ok ? null : r.text().then((t) => Promise.reject(new Error(t)))));

await drive(async ({ page, context, url, check, comes }) => {
  const other = await context.newPage();
  const status = (p) => p.locator(".search-note").textContent();
  await page.goto(`${url}/topics/orders/messages`);
  await comes("live: both are shown", () => document.querySelectorAll(".message").length === 2);
  await other.goto(`${url}/topics/orders/messages?from=newest`);
  await other.waitForFunction(() => document.querySelectorAll(".message").length === 2);
  check("search: both are found", (await status(other)).startsWith("2 found"));
  await tell("stop");
  await page.bringToFront();
  await comes("live: it says that Kafka is away, and why", () => /127\.0\.0\.1|Kafka|answer/.test(document.querySelector(".tail-note.bad-text")?.textContent ?? ""));
  check("live: what was there stays", (await page.locator(".message").count()) === 2);
  await other.bringToFront();
  await other.getByRole("button", { name: "Search", exact: true }).click();
  await other.waitForSelector(".failure");
  check("search: it says why", /nothing listens|no answer/.test(await other.locator(".failure").textContent()), await other.locator(".failure").textContent());
  await tell("start");
  await tell("produce");
  await page.bringToFront();
  await comes("live: what is written afterwards comes by itself", () => document.querySelectorAll(".message").length === 3 && !document.querySelector(".tail-note.bad-text"));
  await other.bringToFront();
  await other.getByRole("button", { name: "Try again" }).click();
  await other.waitForFunction(() => document.querySelectorAll(".message").length === 3);
  check("search: it finds all three", (await status(other)).startsWith("3 found"));
  await page.bringToFront();
}, { expected: () => true });
