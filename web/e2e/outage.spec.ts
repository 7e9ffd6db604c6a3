// The balancer's pages in a console process that has no proxy beside it, while the broker dies, comes back, hangs and goes
// on. BROKER_CONTROL is the server of the Go test that does this: POST /off, /on, /hang, /wake.
import type { Page } from "@playwright/test";
import { picture } from "./actions";
import { type Api, expect, setting, test } from "./console";

type View = {
  path: string;
  /** The page shows its data. */
  shown: () => boolean;
  /** The page says that the broker is unavailable. */
  warns?: () => boolean;
  /** The page has returned to normal. */
  recovered?: () => boolean;
  /** The page shows old data in grey meanwhile. */
  greyed?: () => boolean;
};

const warns = () => /nothing listens|does not answer|no answer|deadline/.test(document.querySelector(".stale-note")?.textContent ?? "");
const recovered = () => document.querySelector(".stale-note") === null && document.querySelector(".stale") === null;
const greyed = () => document.querySelector(".stale") !== null;
const hasRows = () => document.querySelectorAll(".vbody [role=row]").length > 0;

// Overview and instance stay current: their data comes from the proxy. One decision stays as it was.
const views = {
  overview: {
    path: "/",
    shown: () => document.querySelectorAll("[data-instance]").length === 3 && document.querySelector(".connection.live") !== null,
    warns: () => /Kafka lost/.test(document.querySelector(".node-kafka")?.textContent ?? ""),
    recovered: () => /connected/.test(document.querySelector(".node-kafka")?.textContent ?? "") && document.querySelector(".stale") === null,
  },
  instance: {
    path: "/instances/shop/i1",
    shown: () => document.querySelector(".panel .cost-bars canvas") !== null,
    warns: () => /Kafka lost/.test(document.querySelector(".node-kafka")?.textContent ?? ""),
    recovered: () => /connected/.test(document.querySelector(".node-kafka")?.textContent ?? ""),
  },
  health: {
    path: "/health",
    shown: () => document.querySelectorAll(".checks li").length > 2,
    warns: () => document.querySelector(".stale-note") !== null || /kafka|broker/i.test(document.querySelector(".checks.problem")?.textContent ?? ""),
    recovered: () => document.querySelector(".stale-note") === null && document.querySelector(".checks.problem") === null,
  },
  configuration: { path: "/configuration", shown: () => /prefix/.test(document.querySelector("pre.document")?.textContent ?? ""), warns, recovered, greyed },
  history: { path: "/configuration/history", shown: hasRows, warns, recovered, greyed },
  decisions: {
    path: "/decisions",
    shown: hasRows,
    warns: () => /Kafka is unavailable/.test(document.querySelector(".stream-state")?.textContent ?? ""),
    recovered: () => /^live/.test(document.querySelector(".stream-state")?.textContent ?? "") && document.querySelector(".stale") === null,
    greyed,
  },
  alerts: { path: "/alerts", shown: () => document.querySelector("main h1") !== null, warns, recovered, greyed },
  audit: { path: "/audit", shown: hasRows, warns, recovered, greyed },
} satisfies Record<string, View>;

/** All views, with a recorded decision. */
async function viewsWithDecision(api: Api) {
  const [decision] = await api.get("/decisions?last=1");
  expect(decision, "a decision is recorded").toBeDefined();
  const one: View = { path: `/decisions/${encodeURIComponent(decision.requestId)}`, shown: () => document.querySelectorAll(".attempt").length > 0 };
  return { ...views, decision: one };
}

test.use({ allowedMessages: /\/api\/v1\// }); // calls while the broker is unavailable

const control = (what: string) => fetch(`${setting("BROKER_CONTROL")}/${what}`, { method: "POST" });

test.afterEach(() => control("wake"));

for (const { how, begin, end } of [
  { how: "dead", begin: "off", end: "on" },
  { how: "hanging", begin: "hang", end: "wake" },
]) {
  test(`keeps what it shows while the broker is ${how}`, async ({ page, api, otherPage }) => {
    const open: { name: string; page: Page; view: View }[] = [];
    for (const [name, view] of Object.entries<View>(await viewsWithDecision(api))) {
      const p = await otherPage();
      await p.goto(view.path);
      open.push({ name, page: p, view });
    }
    const all = async (what: string, fact: "shown" | "warns" | "recovered" | "greyed") => {
      for (const { name, page, view } of open) {
        const condition = view[fact];
        if (condition) await expect(page, `${what}: ${name}`).toSatisfy(condition);
      }
    };
    await all("open", "shown");
    await control(begin);
    await all(`the broker is ${how}: the page says so`, "warns");
    await all("and greys what it shows", "greyed");
    await all("and keeps what it had", "shown");
    for (const { name, page } of open) await picture(page, `outage-${how}-${name}`);
    await control(end);
    await all("it answers again: the page goes on by itself", "recovered");
    await all("with what is there", "shown");
    await page.goto("/");
  });
}

test("fills a page that was opened without a broker", async ({ page, api, otherPage }) => {
  const all = await viewsWithDecision(api);
  await control("off");
  const open: { name: string; page: Page; view: View }[] = [];
  for (const name of ["configuration", "history", "decisions", "decision", "audit"] as const) {
    const p = await otherPage();
    await p.goto(all[name].path);
    await expect(p.locator(".stale-note, .failure, .stale").first(), `opened without a broker, it says why: ${name}`).toBeAttached();
    open.push({ name, page: p, view: all[name] });
  }
  await control("on");
  for (const p of open) await expect(p.page, `and fills by itself: ${p.name}`).toSatisfy(p.view.shown);
  await page.goto("/");
  await picture(page, "outage");
});
