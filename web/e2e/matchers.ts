// Assertions about a whole page, beside those of Playwright. Like those, they wait until they hold or time out.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { expect as base, type Page } from "@playwright/test";
import type axe from "axe-core";

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** A function that runs in the page. It must declare the type of its parameter. */
type Condition = (argument: never) => unknown;

export const expect = base.extend({
  /** Waits until condition(argument) is true in the page. For conditions that a locator cannot express, such as several facts at one moment. */
  async toSatisfy(page: Page, condition: Condition, argument?: unknown, options: { timeout?: number } = {}) {
    const timeout = options.timeout ?? this.timeout;
    return page.waitForFunction(condition as (argument: unknown) => unknown, argument, { polling: 200, timeout }).then(
      () => ({ pass: true, message: () => "the condition holds" }),
      async (e: Error) => {
        const shown = await content(page);
        return { pass: false, message: () => `${e.message.split("\n")[0]} ${shown}` };
      },
    );
  },

  /** axe-core finds no serious violation in what the page shows; with all, no violation. */
  async toBeAccessible(page: Page, { all = false } = {}) {
    await settle(page);
    await page.evaluate(axeSource); // through the debugger: the page's policy forbids other scripts
    const { violations } = await page.evaluate(() => (window as unknown as { axe: typeof axe }).axe.run(document, { resultTypes: ["violations"] }));
    const bad = violations.filter((v) => all || v.impact === "serious" || v.impact === "critical");
    return {
      pass: bad.length === 0,
      message: () => `not accessible: ${bad.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => `${String(n.target)} ${n.failureSummary}`).join("; ")}`).join(" | ")}`,
    };
  },

  /** Nothing has moved since the page was loaded, except after an action of the user. */
  async toBeSteady(page: Page) {
    await page.waitForTimeout(2_500); // two or three more events
    const { moved } = await page.evaluate(() => window.seen);
    const shift = largestShift(moved);
    const most = moved.toSorted((a, b) => b.value - a.value).slice(0, 8);
    return {
      pass: shift < 0.02,
      message: () => `the page moved while data came in: ${shift.toFixed(4)} by ${most.map((m) => `${m.value.toFixed(4)} after ${Math.round(m.at)} ms: ${m.what}`).join("; ")}`,
    };
  },

  /** The page is no wider than a window of 360 px. */
  async toFitNarrowScreen(page: Page) {
    const usual = page.viewportSize() ?? { width: 1440, height: 900 };
    await page.setViewportSize({ width: 360, height: 740 });
    const pass = await page.waitForFunction(() => innerWidth === 360 && document.documentElement.scrollWidth <= innerWidth, undefined, { timeout: this.timeout }).then(
      () => true,
      () => false,
    );
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    await page.setViewportSize(usual);
    await page.waitForFunction((width) => innerWidth === width, usual.width);
    await settle(page);
    return { pass, message: () => `the page is ${over} px wider than a window of 360 px` };
  },
});

/** Waits until all animations have ended: during a change of theme, a colour has the contrast of neither theme. */
async function settle(page: Page) {
  await page.evaluate(async () => {
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))); // animations of the last action have begun
    const ends = document.getAnimations().filter((a) => Number.isFinite(a.effect?.getComputedTiming().endTime));
    await Promise.all(ends.map((a) => a.finished.catch(() => undefined))); // a cancelled animation has ended, too
  });
}

/** The address of the page and the beginning of its text. */
function content(page: Page) {
  return page
    .evaluate(() => `at ${location.pathname}${location.search}: ${(document.querySelector("dialog[open]") ?? document.querySelector("main") ?? document.body).textContent.slice(0, 400)}`)
    .catch((e: unknown) => String(e));
}

/**
 * The largest sum of shifts within five seconds without a pause of one second: the cumulative layout shift as
 * web.dev/articles/cls defines it. It does not grow with the time that a page is open.
 */
function largestShift(moved: { value: number; at: number }[]) {
  let largest = 0;
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
    largest = Math.max(largest, sum);
  }
  return largest;
}
