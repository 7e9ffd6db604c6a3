// Brokers and health of a console that has no proxy; then the broker dies, comes back, hangs and goes on while pages are
// open. BROKER_CONTROL is the server of the Go test that does this: POST /off, /on, /hang, /wake.
import type { Page } from "@playwright/test";
import { picture } from "./actions";
import { expect, setting, test } from "./console";

// There is no proxy to ask, and the page of health asks whether Kafka is there.
test.use({ allowedMessages: /\/api\/v1\/(overview|cluster\))/ });

test("shows the broker", async ({ page }) => {
  await page.goto("/cluster");
  await page.locator('section[aria-labelledby="brokers-h"] tbody tr').first().waitFor();
  const brokers = page.locator('section[aria-labelledby="brokers-h"] tbody tr');
  await expect(brokers, "cluster: one broker, the controller").toHaveText([/controller/]);
  await expect(brokers.first(), "cluster: the version of an embedded broker is not estimated").toContainText("smartlb, embedded");
  await expect(page, "cluster: its answering time is measured").toSatisfy(() => [...document.querySelectorAll('section[aria-labelledby="brokers-h"] tbody tr td')].filter((d) => /\d m?s/.test(d.textContent)).length === 3);
  await expect(page, "cluster: no partition is in trouble").toSatisfy(() => document.querySelector(".facts") && document.querySelector("#troubled-h") === null);
  await expect(page.locator(".beside"), "cluster: no ZooKeeper, and why").toContainText(/embedded broker needs none/);
  await expect(page, "cluster").toBeSteady();
  await expect(page, "cluster").toBeAccessible();
  await expect(page, "cluster").toFitNarrowScreen();
  await page.getByRole("searchbox").fill("message.max");
  await expect(page.locator('[aria-labelledby="broker-settings-h"] tbody').first(), "cluster: settings by name, with their source").toContainText(/message\.max\.bytes.*11 MiB/s);
  await page.goto("/cluster?broker=7");
  await page.getByRole("heading", { name: "There is no broker 7" }).waitFor();
  await picture(page, "cluster");
});

test("shows that Kafka is healthy", async ({ page }) => {
  await page.goto("/health");
  await page.locator(".checks li").first().waitFor();
  await expect(page.locator(".checks.ok").first(), "health: Kafka is well").toContainText(/answers; cluster .*brokers: 1/);
  await expect(page, "health").toBeSteady();
  await expect(page, "health").toBeAccessible();
  await expect(page, "health").toFitNarrowScreen();
  await picture(page, "health");
});

test("keeps pages usable while the broker is dead or hangs", async ({ page, otherPage }) => {
  const control = (what: string) => fetch(`${setting("BROKER_CONTROL")}/${what}`, { method: "POST" });
  await page.goto("/health");
  await page.locator(".checks li").first().waitFor();
  const views: Record<string, { path: string; shown: () => boolean }> = {
    list: { path: "/topics", shown: () => [...document.querySelectorAll(".vbody [role=row] a")].some((a) => a.textContent === "stock") },
    topic: { path: "/topics/stock", shown: () => document.querySelectorAll('section[aria-labelledby="partitions-h"] tbody tr').length === 2 },
    settings: { path: "/topics/stock/settings", shown: () => document.querySelectorAll("table.settings tbody tr").length > 5 },
    cluster: { path: "/cluster", shown: () => document.querySelectorAll('section[aria-labelledby="brokers-h"] tbody tr').length === 1 },
    plan: { path: "/plan", shown: () => document.querySelector("#steps-h") !== null },
    groups: { path: "/groups", shown: () => document.querySelectorAll(".vbody [role=row]").length === 1 },
    group: { path: "/groups/shop", shown: () => document.querySelectorAll("section table tbody tr").length === 2 },
  };
  const open: { name: string; page: Page; shown: () => boolean }[] = [];
  for (const [name, view] of Object.entries(views)) {
    const p = await otherPage();
    await p.goto(view.path);
    await expect(p, `open: ${name}`).toSatisfy(view.shown);
    open.push({ name, page: p, shown: view.shown });
  }
  const all = async (what: string, condition: () => boolean) => {
    for (const p of open) await expect(p.page, `${what}: ${p.name}`).toSatisfy(condition);
  };
  const recovered = () => document.querySelector(".stale-note") === null && document.querySelector("main .stale") === null;
  await control("off");
  await all("the broker is gone: the page says so, and why", () => /nothing listens|does not answer/.test(document.querySelector(".stale-note")?.textContent ?? ""));
  for (const p of open) {
    await expect(p.page.locator("main .stale").first(), `and greys what it shows: ${p.name}`).toBeAttached();
    await expect(p.page, `and keeps what it had: ${p.name}`).toSatisfy(p.shown);
  }
  await page.getByRole("button", { name: "Check again" }).click();
  await expect(page, "health: the problem is first, with its cause and a command to copy").toSatisfy(() => {
    const c = document.querySelector(".checks.problem");
    return /nothing listens/.test(c?.textContent ?? "") && /smartlb kafka start/.test(c?.querySelector("code")?.textContent ?? "");
  });
  await expect(page, "health with a problem").toBeAccessible();
  await expect(page, "health").toBeAccessible();
  await picture(page, "health-problem");
  await control("on");
  await all("the broker is back: the page goes on by itself", recovered);
  for (const p of open) await expect(p.page, `with what is there: ${p.name}`).toSatisfy(p.shown);
  await control("hang");
  await all("the broker hangs: the page says so", () => /does not answer/.test(document.querySelector(".stale-note")?.textContent ?? ""));
  await control("wake");
  await all("the broker answers again: the page goes on by itself", recovered);
  await expect(page, "health: well again by itself").toSatisfy(() => !document.querySelector(".checks.problem") && /answers/.test(document.querySelector(".checks.ok")?.textContent ?? ""));
});
