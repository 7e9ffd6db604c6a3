// What a user comes to the console for, job by job, in the console of a running demo that also has the topic "carts" and
// the group "shop". Each job begins on the overview, has a limit for its clicks, and shows the numbers of the API.
import { readFile } from "node:fs/promises";
import type { Locator, Page } from "@playwright/test";
import { editor, picture } from "./actions";
import { type Api, expect, sick, test } from "./console";

declare global {
  interface Window {
    countClick: () => void;
  }
}

type Job = {
  page: Page;
  api: Api;
  /** The open dialog. */
  dialog: Locator;
  /** Follows a link of the menu. */
  menu: (name: string) => Promise<void>;
  /** Chooses from a list: a click on the list and one on the value. */
  choose: (list: Locator, value: string) => Promise<void>;
};

/** A test that runs steps, which begin on the overview, and counts their clicks: at least one, at most the given number. */
function job(name: string, most: number, steps: (job: Job) => Promise<void>) {
  test(name, async ({ page, context, api, broken: _ }) => {
    let clicks = 0;
    await context.exposeFunction("countClick", () => clicks++);
    // A click is one of the user, also by key; the second click that a label makes on its field does not count.
    await context.addInitScript(() => {
      const ofLabel = (e: MouseEvent) => e.target instanceof HTMLInputElement && e.target.closest("label") !== null;
      addEventListener("click", (e) => e.isTrusted && e.detail - (ofLabel(e) ? 1 : 0) >= 0 && window.countClick(), true);
    });
    await page.goto("/");
    await page.locator("[data-instance]").first().waitFor();
    const choose = async (list: Locator, value: string) => {
      clicks += 2;
      await list.selectOption(value);
    };
    const menu = (to: string) => page.locator("nav.side").getByRole("link", { name: new RegExp(`^${to}`) }).click();
    await steps({ page, api, dialog: page.locator("dialog[open]"), menu, choose });
    expect(clicks, `${name}: clicks`).toBeGreaterThan(0);
    expect(clicks, `${name}: clicks`).toBeLessThanOrEqual(most);
    await picture(page, `job-${name.replaceAll(" ", "-")}`);
  });
}

const digits = (text: string) => Number(text.replace(/[^\d.-]/g, ""));

type Instance = { id: string; share: number; state: string };

/** An instance as the API shows it. */
async function instance(api: Api, id: string): Promise<Instance | undefined> {
  return (await api.get("/services")).flatMap((s: { instances: Instance[] }) => s.instances).find((i: Instance) => i.id === id);
}

const yaml = "Routes and services, YAML";
const canaryComment = "canary of 10 %";

/** A document in which a tenth of the orders go to another service. */
const canary = (document: string) => document.replace(/service: order-service, timeout/, "split: [{service: order-service, weight: 90}, {service: catalog-service, weight: 10}], timeout");

/** Publishes a document. */
async function publish(api: Api, document: string, comment: string) {
  await api.post("/config/revisions", { document, base: (await api.get("/config")).revision, comment });
}

job("find the sick instance", 2, async ({ page, api }) => {
  await expect(page, "it is counted").toSatisfy(() => Number.parseInt(document.querySelector(".trouble .num")?.textContent ?? "0") >= 1);
  await page.locator(".trouble").click();
  await expect(page, "it is the first that is listed").toSatisfy((id: string) => document.querySelector<HTMLElement>("[data-instance]")?.dataset.instance === id, sick);
  await page.locator(`[data-instance="${sick}"] a`).first().click();
  await expect(page, "why stands there").toSatisfy(() => document.querySelectorAll('section[aria-labelledby="why"] li').length > 2);
  await expect.poll(async () => {
    const i = await instance(api, sick);
    const share = /([<\d.]+) % of the requests/.exec(await page.locator(".panel .standing").innerText())?.[1];
    return i !== undefined && share !== undefined && Math.abs(Number.parseFloat(share.replace("<", "")) - 100 * i.share) <= 2;
  }, "the share is the API's").toBe(true);
});

job("follow one request", 3, async ({ page, api, menu }) => {
  await menu("Decisions");
  const one = page.locator('.vbody a[href^="/decisions/"]').first();
  await one.waitFor();
  await page.keyboard.press("p"); // rows stay where they are
  const id = await one.innerText();
  await page.locator(`.vbody a[href="/decisions/${encodeURIComponent(id)}"]`).first().click();
  await page.locator(".attempt").first().waitFor();
  const [d] = await api.get(`/decisions/${encodeURIComponent(id)}?span=1h`);
  const text = await page.locator(".attempt").first().textContent();
  expect(text, "instance, route and revision are the API's").toContain(d.instanceId);
  expect(text, "instance, route and revision are the API's").toContain(`route ${d.route}`);
  expect(text, "instance, route and revision are the API's").toContain(d.configRevision);
  const cost = digits(await page.locator(".candidates tr.selected td").first().innerText());
  const want = d.candidates.find((c: { instanceId: string }) => c.instanceId === d.instanceId)?.cost;
  if (want !== undefined) expect(Math.abs(cost - want), "the chosen one's cost is the API's").toBeLessThanOrEqual(Math.max(0.006, want * 0.01));
});

job("search and export messages", 6, async ({ page, api, menu, choose }) => {
  await menu("Topics");
  await page.getByRole("link", { name: "carts", exact: true }).click();
  await page.getByRole("link", { name: "Messages", exact: true }).click();
  await choose(page.getByLabel("Where to begin"), "start");
  const { partitions } = await api.get("/topics/carts");
  const held = partitions.reduce((n: number, p: { start: number; end: number }) => n + p.end - p.start, 0);
  expect(held, "the topic has twenty").toBe(20);
  await expect(page, "all are listed").toSatisfy((n: number) => document.querySelector(".message")?.closest("[aria-setsize]")?.getAttribute("aria-setsize") === String(n), held);
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: /^Export/ }).click()]);
  const lines = (await readFile(await file.path(), "utf8")).trim().split("\n").map((l) => JSON.parse(l) as { topic: string });
  expect(lines.length, "the export has as many as the topic").toBe(held);
  expect(lines.every((l) => l.topic === "carts"), "the export has as many as the topic").toBeTruthy();
});

job("produce", 5, async ({ page, api, menu }) => {
  await api.removeTopic("parcels");
  await api.post("/topics", { name: "parcels" });
  await menu("Topics");
  await page.getByRole("link", { name: "parcels", exact: true }).click();
  await page.getByRole("link", { name: "Messages", exact: true }).click();
  await page.getByRole("button", { name: "Produce …" }).click();
  await editor(page, "Value").write('{"n":21}');
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await expect(page.locator(".tail-tools").first(), "where it went is said").toContainText(/Sent: partition \d+, offset \d+/);
  const [, partition, offset] = /partition (\d+), offset (\d+)/.exec(await page.locator(".tail-tools").innerText()) ?? [];
  const m = await api.get(`/topics/parcels/partitions/${partition}/offsets/${offset}`);
  expect(JSON.stringify(m), "and it is there").toContain('{\\"n\\":21}');
});

job("reset a group", 7, async ({ page, api, menu, choose }) => {
  await menu("Groups");
  await page.getByRole("link", { name: "shop", exact: true }).click();
  await page.getByRole("button", { name: "Reset offsets …" }).click();
  await choose(page.getByLabel("To", { exact: true }), "latest");
  await page.getByRole("button", { name: "Preview" }).click();
  await expect(page.locator(".preview tbody tr"), "what would become of it is shown").toHaveCount(2);
  await page.getByRole("button", { name: "Reset 2 partitions" }).click();
  await expect(page, "no lag is left").toSatisfy(() => !document.querySelector("dialog[open]") && /Lag\s*0/.test(document.querySelector(".facts")?.textContent ?? ""));
  const g = await api.get("/groups/shop");
  expect(JSON.stringify(g).match(/"lag":\d+/g)?.filter((l) => l !== '"lag":0'), "nor by the API").toEqual([]);
});

job("create a topic", 3, async ({ page, api, menu, dialog }) => {
  await api.removeTopic("baskets");
  await menu("Topics");
  await page.getByRole("button", { name: /^Create/ }).click();
  await dialog.getByLabel("Name", { exact: true }).fill("baskets");
  await dialog.getByLabel("Partitions", { exact: true }).fill("4");
  await dialog.locator("button[type=submit]").click();
  await expect(page, "its page has four partitions").toSatisfy(() => location.pathname === "/topics/baskets" && document.querySelectorAll('section[aria-labelledby="partitions-h"] tbody tr').length === 4);
  expect((await api.get("/topics/baskets")).partitions.length, "and the API").toBe(4);
});

job("canary", 4, async ({ page, api, menu }) => {
  await menu("Configuration");
  await page.getByRole("link", { name: "Edit", exact: true }).click();
  await expect(page.locator(".mistakes").first(), "the document is there").toContainText(/is valid/);
  const was = await editor(page, yaml).text();
  await editor(page, yaml).write(canary(was));
  await expect(page, "the preview has one line").toSatisfy(() => document.querySelectorAll(".diff tr.added").length === 1 && document.querySelector(".diff tr.added")?.textContent.includes("weight: 10"));
  await page.getByLabel("Comment").fill(canaryComment);
  await page.getByRole("button", { name: "Publish" }).click();
  await expect(page.locator(".outcome").first(), "it is published").toContainText(/is published/);
  const c = await api.get("/config");
  expect(c.document, "it is current").toContain("weight: 10}");
  await page.getByRole("link", { name: "Current", exact: true }).click();
  await expect(page.locator(".nodes").first(), "the node applied it").toContainText(`applied ${c.revision}`);
  await publish(api, was, "end of the canary");
});

job("silence an alert", 3, async ({ page, api, menu, dialog }) => {
  await menu("Alerts");
  await expect(page.locator('section[aria-labelledby="firing"] [data-alert="fast-failing"]').first(), "it fires").toBeAttached();
  const count = async () => (await api.get("/alerts")).filter((a: { status: string; silence?: object }) => a.status === "firing" && !a.silence).length as number;
  const firing = await count();
  await expect.poll(async () => {
    const n = await count();
    return digits(await page.locator(".toolbar > span").first().innerText()) === n && digits(await page.locator("nav.side .badge").first().innerText()) === n;
  }, "the number is the API's and the menu's").toBe(true);
  expect(firing, "there is one at least").toBeGreaterThanOrEqual(1);
  await page.locator('[data-alert="fast-failing"]').first().getByRole("button", { name: "Silence" }).click();
  await dialog.getByLabel("Reason").fill("known, ticket 12");
  await dialog.getByRole("button", { name: "Silence" }).click();
  await expect(page, "it is silenced, with the reason, and not red").toSatisfy(() => {
    const card = document.querySelector('section[aria-labelledby="silenced"] [data-alert="fast-failing"]');
    return card?.textContent.includes("known, ticket 12") && card.querySelector(".bad, .bad-text") === null && getComputedStyle(card).borderLeftColor !== getComputedStyle(document.querySelector(".badge") ?? card).color;
  });
  const silence = (await api.get("/silences")).find((s: { reason: string }) => s.reason === "known, ticket 12");
  expect(silence, "by the API too").toBeDefined();
  await api.delete(`/silences/${silence.id}`);
});

job("find who did what", 2, async ({ page, api, menu, dialog }) => {
  const was = (await api.get("/config")).document;
  await publish(api, canary(was), canaryComment);
  await menu("Audit");
  await page.getByLabel("action").fill("publish.config");
  await page.locator(".record").first().waitFor();
  await expect(page.locator(".vbody [role=row]").first(), "with the reason").toContainText(canaryComment);
  await page.locator(".record").first().click();
  await expect(page, "before and after are there").toSatisfy(() => document.querySelector("dialog tr.removed") !== null && /weight: 10/.test(document.querySelector("dialog")?.textContent ?? ""));
  const [r] = await api.get("/audit?last=1&action=publish.config");
  const text = await dialog.textContent();
  expect(text, "target and reason are the API's").toContain(r.target.id);
  expect(text, "target and reason are the API's").toContain(r.reason);
  expect(r.reason, "target and reason are the API's").toBe(canaryComment);
  await publish(api, was, "end of the canary");
});

job("drain and undrain", 4, async ({ page, api, dialog }) => {
  const id = "order-service-2";
  await page.locator(`[data-instance="${id}"] a`).first().click();
  await page.getByRole("button", { name: "Drain…" }).click();
  await dialog.getByLabel("Reason").fill("new disk");
  await dialog.getByRole("button", { name: "Drain" }).click();
  await expect(page.locator(".panel .state").first(), "it drains").toContainText("draining");
  expect((await instance(api, id))?.state, "by the API too").toBe("draining");
  await expect(page, "what ends it is said").toSatisfy((id: string) => new RegExp(`rejoins after .smartlb undrain ${id}.\\.`).test(document.querySelector('section[aria-labelledby="why"]')?.textContent ?? ""), id);
  expect((await api.get("/audit?last=1&action=drain.instance"))[0]?.reason, "with the reason in the audit log").toBe("new disk");
  await page.getByRole("button", { name: "Undrain" }).click();
  await expect(page, "it is back").toSatisfy(() => !document.querySelector(".panel .state")?.textContent.includes("draining"));
  expect((await instance(api, id))?.state, "by the API too, again").toBe("in");
});

job("compare policies", 3, async ({ page, api, menu, choose }) => {
  await menu("Demo");
  const list = page.getByLabel("Policy of catalog-service");
  await list.waitFor();
  const want = (await list.inputValue()) === "round_robin" ? "maglev" : "round_robin";
  await choose(list, want);
  await expect(page, "it is picked").toSatisfy((p: string) => document.querySelector<HTMLSelectElement>('select[aria-label="Policy of catalog-service"]')?.value === p, want);
  await expect.poll(async () => (await api.get("/services")).find((s: { id: string }) => s.id === "catalog-service").policy, "and the API's").toBe(want);
});
