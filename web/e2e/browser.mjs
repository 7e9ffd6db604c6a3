// What the browser tests share: a console behind a cable that can be cut, a
// page in Chromium, and checks that say what they saw, one line each.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import { chromium } from "playwright-core";

export const never = 120_000; // ms; a limit for what never comes, not a measure of speed
const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** A connection between browser and console that can be cut and repaired. */
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
    reconnect: () => {
      server = net.createServer(serve);
      return listen(port);
    },
  };
}

/**
 * The most that moved in five seconds without a pause of one: the cumulative
 * layout shift as web.dev/articles/cls defines it, which does not grow with the
 * time that a page is open.
 */
function mostAtOnce(moved) {
  let most = 0;
  let sum = 0;
  let begin = Number.NEGATIVE_INFINITY;
  let last = begin;
  for (const { value, at } of moved) {
    if (at - last >= 1000 || at - begin >= 5000) {
      begin = at;
      sum = 0;
    }
    last = at;
    sum += value;
    most = Math.max(most, sum);
  }
  return most;
}

/**
 * Opens the console given on the command line (URL, and a folder for
 * screenshots) and runs steps({page, url, ...}) on it; the process ends with 1
 * if a check failed. expected(message) names messages of the browser's own
 * console that are part of the test.
 */
export async function drive(steps, { expected = () => false, theme = "dark" } = {}) {
  const [address, shots] = process.argv.slice(2);
  if (!address) {
    console.error("usage: node e2e/NAME.mjs URL [SCREENSHOT FOLDER]");
    process.exit(2);
  }
  const failed = [];
  const check = (what, ok, detail = "") => {
    const line = `${ok ? "ok  " : "FAIL"} ${what}${!ok && detail !== "" ? `: ${detail}` : ""}`;
    if (!ok) failed.push(line);
    console.log(line);
  };
  const line = await cable(new URL(address));
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme: theme });
  await context.addInitScript(() => {
    window.seen = { moved: [], violations: [] };
    // What a press changes comes with the frames after it. The browser itself leaves out half a second, in which a busy machine may not have drawn one.
    const acts = [];
    const act = (e) => {
      const a = { from: e.timeStamp, to: Number.POSITIVE_INFINITY };
      acts.push(a);
      requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => (a.to = performance.now()))));
    };
    for (const kind of ["pointerdown", "click", "keydown", "popstate", "resize"]) addEventListener(kind, act, true);
    new PerformanceObserver((list) => {
      for (const e of list.getEntries()) {
        const of = (e.sources ?? []).map((s) => s.node);
        // Rows of a list change places while nobody points at them: the newest comes first.
        if (e.hadRecentInput || acts.some((a) => a.from <= e.startTime && e.startTime <= a.to) || (of.length > 0 && of.every((n) => !n || n.parentElement?.closest(".vbody")))) continue;
        window.seen.moved.push({ value: e.value, at: e.startTime, what: of.map((n) => n?.className || n?.nodeName).slice(0, 5).join() });
      }
    }).observe({ type: "layout-shift", buffered: true });
    addEventListener("securitypolicyviolation", (e) => window.seen.violations.push(`${e.violatedDirective} ${e.blockedURI}`));
  });
  if (process.env.E2E_THROTTLE) {
    // As on a machine that is so many times slower, as far as the page's own work goes.
    context.on("page", async (p) => (await context.newCDPSession(p)).send("Emulation.setCPUThrottlingRate", { rate: Number(process.env.E2E_THROTTLE) }).catch(() => {}));
  }
  context.setDefaultTimeout(never);
  const page = await context.newPage();
  let off = false;
  page.on("console", (m) => {
    if (["error", "warning"].includes(m.type()) && !off && !expected(m)) check("the browser's console is quiet", false, `${m.text()} (${m.location().url})`);
  });
  page.on("pageerror", (e) => check("no script fails", false, e.message));

  /** What changes by itself has ended: a colour on its way from one theme to the other has the contrast of neither. */
  const still = () =>
    page.evaluate(async () => {
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))); // what was just asked for has begun
      const ends = document.getAnimations().filter((a) => Number.isFinite(a.effect?.getComputedTiming().endTime));
      await Promise.all(ends.map((a) => a.finished.catch(() => {}))); // one that is called off is over, too
    });
  /** axe-core finds nothing serious in what is shown; with all, nothing. */
  const accessible = async (where, all = false) => {
    await still();
    await page.evaluate(axeSource); // through the debugger: the page's policy forbids foreign scripts, as it should
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    const bad = violations.filter((v) => all || ["serious", "critical"].includes(v.impact));
    check(`${where}: accessible`, bad.length === 0, bad.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.failureSummary}`).join("; ")}`).join(" | "));
  };
  /** Nothing moved since the page was loaded, but for what the user did. */
  const steady = async (where) => {
    await page.waitForTimeout(2_500); // two or three more events
    const { moved } = await page.evaluate(() => window.seen);
    const shift = mostAtOnce(moved);
    const largest = moved.toSorted((a, b) => b.value - a.value).slice(0, 8);
    check(`${where}: nothing moves while data comes in`, shift < 0.02, `${shift.toFixed(4)} by ${largest.map((m) => `${m.value.toFixed(4)} after ${Math.round(m.at)} ms: ${m.what}`).join("; ")}`);
  };
  const fits = async (where) => {
    await page.setViewportSize({ width: 360, height: 740 });
    const over = () => document.documentElement.scrollWidth - window.innerWidth;
    const fitted = await page.waitForFunction(() => innerWidth === 360 && document.documentElement.scrollWidth <= innerWidth).then(
      () => true,
      () => false,
    );
    check(`${where}: fits 360 px`, fitted, `${await page.evaluate(over)} px too wide`);
    await page.setViewportSize({ width: 1440, height: 900 });
    await page.waitForFunction(() => innerWidth === 1440);
    await still(); // what follows sees the page in its usual width
  };
  /** A page in a profile of its own: a browser opens six connections to one host, and every page holds a stream. */
  const profile = async (options = {}) => {
    const other = await browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme: theme, ...options });
    other.setDefaultTimeout(never);
    return other.newPage();
  };
  /** Where the page is and what it says, for what did not come. */
  const seen = () => page.evaluate(() => `at ${location.pathname}${location.search}: ${(document.querySelector("dialog[open]") ?? document.querySelector("main"))?.textContent.slice(0, 300)}`).catch((e) => e.message);
  /** Waits for a condition in the page; one that never comes is a failed check. */
  const comes = async (what, condition, argument) => {
    try {
      await page.waitForFunction(condition, argument, { polling: 200 });
      check(what, true);
    } catch (e) {
      check(what, false, `${e.message.split("\n")[0]} ${await seen()}`);
    }
  };
  /** Waits for what only this side can ask, such as whether a button is disabled. */
  const soon = async (what, condition) => {
    const until = Date.now() + never;
    let ok = await condition();
    while (!ok && Date.now() < until) {
      await page.waitForTimeout(100);
      ok = await condition();
    }
    check(what, ok, ok ? "" : await seen());
  };
  /**
   * Presses a button until the page shows the result. If the machine is starved, the node stops waiting for a process
   * after some seconds and says so; a user presses again.
   */
  const press = (what, button, done, argument) =>
    soon(what, async () => {
      await button.click({ timeout: 5_000 }).catch(() => {}); // it may be gone because the previous press succeeded
      return page.waitForFunction(done, argument, { polling: 200, timeout: 10_000 }).then(
        () => true,
        () => false,
      );
    });
  /** Presses keys one after the other, without waiting until the page has done with one before the next comes. */
  const keys = (...names) => Promise.all(names.map((n) => page.keyboard.press(n)));
  /** The text field of an editor (ui/editor.tsx) with a label, as soon as its code is loaded. */
  const editor = (label) => page.getByLabel(label, { exact: true }).and(page.locator("[contenteditable]"));
  /** Replaces the text of an editor: selects it and pastes. An editor draws only the lines in sight, so no other way reaches all of it. */
  const write = async (label, text) => {
    const field = editor(label);
    await field.focus();
    await page.keyboard.press("ControlOrMeta+a");
    await field.evaluate((e, text) => {
      const clipboardData = new DataTransfer();
      clipboardData.setData("text/plain", text);
      e.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
    }, text);
  };
  /** The text of an editor that is selected, as the user would copy it. */
  const selected = (label) =>
    editor(label).evaluate((e) => {
      const clipboardData = new DataTransfer();
      e.dispatchEvent(new ClipboardEvent("copy", { clipboardData, bubbles: true, cancelable: true }));
      return clipboardData.getData("text/plain");
    });
  /** The whole text of an editor. */
  const written = async (label) => {
    await editor(label).focus();
    await page.keyboard.press("ControlOrMeta+a");
    return selected(label);
  };
  /** Keeps calls whose address fits from the node until the function that it gives is called. */
  const hold = async (pattern) => {
    let release;
    const released = new Promise((done) => {
      release = done;
    });
    await page.route(pattern, async (r) => {
      await released;
      await r.continue().catch(() => {}); // the page has called it off
    });
    return async () => {
      release();
      await page.unroute(pattern);
    };
  };
  const picture = async (name) => shots && existsSync(shots) && page.screenshot({ path: `${shots}/${name}.png` });
  const cut = async () => {
    off = true;
    await line.cut();
  };
  const reconnect = () => line.reconnect();
  /** From here on the browser's console is to be quiet again. */
  const settled = () => {
    off = false;
  };
  try {
    await steps({ page, context, profile, url: line.url, check, accessible, steady, fits, comes, soon, press, keys, editor, write, selected, written, hold, picture, cut, reconnect, settled });
    const { violations } = await page.evaluate(() => window.seen);
    check("the content security policy is kept", violations.length === 0, violations.join(", "));
  } catch (e) {
    // What the page says of it: an action that the node refused, a lost connection.
    const said = await page.locator("[role=alert], [role=status], .connection").allTextContents().catch(() => []);
    check("the script goes through", false, `${e.message}\n${page.url()}: ${said.filter(Boolean).join(" | ")}`);
  } finally {
    await browser.close();
    await line.cut();
  }
  console.log(failed.join("\n")); // once more where a reader of a long log looks first
  process.exit(failed.length > 0 ? 1 : 0);
}
