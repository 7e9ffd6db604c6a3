// Drives the console of a running demo in Chromium, as a person would, and
// says what it saw: one line for each check, exit code 1 if one failed.
//
//   node e2e/run.mjs http://127.0.0.1:8083 [FOLDER for screenshots]
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import { chromium } from "playwright-core";

const [address, shots] = process.argv.slice(2);
if (!address) {
  console.error("usage: run.mjs URL [SCREENSHOT FOLDER]");
  process.exit(2);
}
const patience = 45_000; // ms; a limit for what never comes, not a measure of speed
const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let failed = 0;
function check(what, ok, detail = "") {
  if (!ok) failed++;
  console.log(`${ok ? "ok  " : "FAIL"} ${what}${!ok && detail !== "" ? `: ${detail}` : ""}`);
}

/** A connection between browser and console that can be cut and mended. */
async function cable(target) {
  const sockets = new Set();
  const serve = (client) => {
    const upstream = net.connect(Number(target.port), target.hostname);
    for (const s of [client, upstream]) {
      sockets.add(s);
      s.on("error", () => s.destroy());
      s.on("close", () => sockets.delete(s));
    }
    client.pipe(upstream).pipe(client);
    client.on("close", () => upstream.destroy());
    upstream.on("close", () => client.destroy());
  };
  let server = net.createServer(serve);
  const listen = (port) => new Promise((done) => server.listen(port, "127.0.0.1", done));
  await listen(0);
  const { port } = server.address();
  const cut = () =>
    new Promise((done) => {
      server.close(done);
      for (const s of sockets) s.destroy();
    });
  return {
    url: `http://127.0.0.1:${port}`,
    cut,
    mend: () => {
      server = net.createServer(serve);
      return listen(port);
    },
  };
}

const line = await cable(new URL(address));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme: "dark" });
await context.addInitScript(() => {
  window.seen = { shift: 0, moved: [], violations: [] };
  new PerformanceObserver((list) => {
    for (const e of list.getEntries()) {
      if (e.hadRecentInput) continue;
      window.seen.shift += e.value;
      for (const s of e.sources ?? []) window.seen.moved.push(s.node?.className || s.node?.nodeName);
    }
  }).observe({ type: "layout-shift", buffered: true });
  addEventListener("securitypolicyviolation", (e) => window.seen.violations.push(`${e.violatedDirective} ${e.blockedURI}`));
});
const page = await context.newPage();
page.setDefaultTimeout(patience);
let cutOff = false;
page.on("console", (m) => {
  if (["error", "warning"].includes(m.type()) && !cutOff) check("the browser's console is quiet", false, m.text());
});
page.on("pageerror", (e) => check("no script fails", false, e.message));

async function accessible(where) {
  await page.evaluate(axeSource); // through the debugger: the page's policy forbids foreign scripts, as it should
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const bad = violations.filter((v) => ["serious", "critical"].includes(v.impact));
  check(`${where}: accessible`, bad.length === 0, bad.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.failureSummary}`).join("; ")}`).join(" | "));
}

async function steady(where) {
  await page.waitForTimeout(2_500); // two or three more events
  const { shift, moved } = await page.evaluate(() => window.seen);
  check(`${where}: nothing moves while data comes in`, shift < 0.02, `${shift.toFixed(4)} by ${moved.slice(0, 8)}`);
}

async function fits(where) {
  await page.setViewportSize({ width: 360, height: 740 });
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  check(`${where}: fits 360 px`, over <= 0, `${over} px too wide`);
  await page.setViewportSize({ width: 1440, height: 900 });
}

/** Waits for a condition in the page; a condition that never comes is a failed check. */
async function comes(what, condition, argument) {
  try {
    await page.waitForFunction(condition, argument, { polling: 200 });
    check(what, true);
  } catch (e) {
    check(what, false, e.message.split("\n")[0]);
  }
}

const picture = async (name) => shots && existsSync(shots) && page.screenshot({ path: `${shots}/${name}.png` });
const shareIs = ([id, low, high]) => {
  const text = document.querySelector(`tr[data-instance="${id}"] .share .num`)?.textContent ?? "";
  const v = text.startsWith("<") ? 0 : Number.parseFloat(text);
  return v >= low && v <= high;
};
const sick = "user-service-3";

try {
  // Overview
  await page.goto(line.url);
  await page.waitForSelector("tr[data-instance]");
  check("overview: eleven instances", (await page.locator("tr[data-instance]").count()) === 11);
  await comes("overview: traffic is shown", () => [...document.querySelectorAll(".rate .num")].filter((e) => Number.parseFloat(e.textContent) > 0).length >= 9);
  const before = await page.locator(".rate .num").allTextContents();
  await comes("overview: the numbers are live", (was) => JSON.stringify([...document.querySelectorAll(".rate .num")].map((e) => e.textContent)) !== was, JSON.stringify(before));
  await steady("overview");
  await accessible("overview, dark");
  await fits("overview");

  // Break
  await page.locator(`tr[data-instance="${sick}"] a`).click();
  check("panel: has an address of its own", new URL(page.url()).pathname === `/instances/user-service/${sick}`, page.url());
  await page.waitForSelector(".panel .lines li");
  await comes(`${sick} gets its share`, shareIs, [sick, 4, 100]);
  await accessible("panel");
  await page.getByRole("button", { name: "Break: fast errors" }).click();
  await comes("break: the row says that it is broken", (id) => document.querySelector(`tr[data-instance="${id}"] .tag`)?.textContent.includes("broken"), sick);
  await comes("break: the share shrinks to next to nothing", shareIs, [sick, 0, 2]);
  await comes("break: the panel says why", () => /error estimate (?!0\.0)|after \d+ failures in a row|multiply its cost/.test(document.querySelector(".panel .lines")?.textContent ?? ""));
  await picture("panel");
  await fits("panel");
  await page.keyboard.press("Escape");
  check("Escape closes the panel", new URL(page.url()).pathname === "/");
  check("and the focus returns to its row", await page.evaluate((id) => document.activeElement?.closest("tr")?.dataset.instance === id, sick));
  await picture("overview");
  await accessible("overview with a broken instance");
  await page.goBack();
  await page.getByRole("button", { name: "Heal" }).click();
  await comes("heal: the row says so", (id) => !document.querySelector(`tr[data-instance="${id}"] .tag.warn`), sick);
  await page.keyboard.press("Escape");

  // Topics
  await page.keyboard.press("g");
  await page.keyboard.press("t");
  await page.waitForSelector(".list tbody tr");
  check("g t: twelve topics", (await page.locator(".list tbody tr").count()) === 12);
  await steady("topics");
  await accessible("topics");
  await fits("topics");
  await page.keyboard.press("/");
  await page.keyboard.type("service-m");
  check("the filter leaves two topics", (await page.locator(".list tbody tr").count()) === 2);
  await page.keyboard.press("Control+A");
  await page.keyboard.press("Delete");

  // One topic
  await page.getByRole("link", { name: "service-metrics", exact: true }).click();
  await page.waitForSelector(".message");
  check("topic: three partitions", (await page.locator('section[aria-labelledby="partitions-h"] tbody tr').count()) === 3);
  const newest = () => page.locator(".message").first().textContent();
  let top = await newest();
  await comes("tail: messages come by themselves", (was) => document.querySelector(".message")?.textContent !== was, top);
  await steady("topic");
  await page.getByRole("button", { name: "Pause" }).click();
  top = await newest();
  await comes("pause: new messages wait", () => /paused, [1-9]/.test(document.querySelector(".tail-status")?.textContent ?? ""));
  check("pause: the rows stay", (await newest()) === top);
  await page.keyboard.press("p");
  await comes("resume: they are shown", (was) => document.querySelector(".message")?.textContent !== was, top);
  await page.locator(".message").nth(1).click();
  check("message: JSON with its keys", (await page.locator(".value .j-key").allTextContents()).includes('"metrics"'));
  check("reading holds the tail", (await page.locator(".pause").getAttribute("aria-pressed")) === "true");
  await picture("topics");
  await accessible("topic");
  await fits("topic");

  // Keys and theme
  await page.keyboard.press("?");
  check("? opens the help", await page.getByRole("dialog", { name: "Keyboard" }).isVisible());
  await accessible("help");
  await page.keyboard.press("Escape");
  check("Escape closes it", (await page.locator("dialog[open]").count()) === 0);
  await page.keyboard.press("g");
  await page.keyboard.press("o");
  await page.waitForSelector("tr[data-instance]");
  const paint = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await paint();
  await page.getByRole("button", { name: /^Theme/ }).click();
  check("the theme switches to light", (await paint()) !== dark);
  await accessible("overview, light");
  await page.reload();
  await page.waitForSelector("tr[data-instance]");
  check("and is remembered", (await paint()) !== dark);

  // The connection
  cutOff = true;
  await line.cut();
  await comes("cut off: it says so", () => document.querySelector(".strip")?.textContent.includes("No connection"));
  check("cut off: the last data stays, greyed", (await page.locator("main.stale tr[data-instance]").count()) === 11);
  await line.mend();
  await comes("mended: it is live again by itself", () => document.querySelector(".connection")?.textContent.includes("live") && !document.querySelector("main.stale"));
  cutOff = false;

  await comes("heal: the share comes back", shareIs, [sick, 4, 100]);
  const { violations } = await page.evaluate(() => window.seen);
  check("the content security policy is kept", violations.length === 0, violations.join(", "));
} catch (e) {
  check("the script goes through", false, e.message);
} finally {
  await browser.close();
  await line.cut();
}
process.exit(failed > 0 ? 1 : 0);
