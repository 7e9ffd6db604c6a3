// What a person comes to the console for, job by job, in the console of a
// running demo that also has the topic carts and the group shop: each begins on
// the overview, has a bound for its clicks, and the numbers that it shows are
// those of the API.
//
//   node e2e/jobs.mjs http://127.0.0.1:8083 [FOLDER for screenshots]
import { readFileSync } from "node:fs";
import { drive } from "./browser.mjs";

const sick = "user-service-3";
const digits = (text) => Number((text ?? "").replace(/[^\d.-]/g, ""));

await drive(async ({ page, context, url, check, comes, soon, write, written, picture }) => {
  let clicks = 0;
  await context.exposeFunction("countClick", () => clicks++);
  // A press that a person makes, also with a key; a label's own second click is none.
  await context.addInitScript(() => addEventListener("click", (e) => e.isTrusted && e.detail + (e.target.closest("label") && e.target.tagName === "INPUT" ? -1 : 0) >= 0 && window.countClick(), true));
  const api = (path, body) =>
    page.evaluate(([path, body]) => fetch(`/api/v1${path}`, body ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) } : undefined).then((r) => r.json()), [path, body]);
  /** Chooses from a list: a press on it and one on the choice. */
  const choose = async (list, value) => {
    clicks += 2;
    await list.selectOption(value);
  };
  const job = async (name, most, steps) => {
    await page.goto(url);
    await page.waitForSelector("[data-instance]");
    clicks = 0;
    await steps((what, ok, detail) => check(`${name}: ${what}`, ok, detail), (what, f, arg) => comes(`${name}: ${what}`, f, arg));
    check(`${name}: ${clicks} clicks, at most ${most}`, clicks > 0 && clicks <= most, String(clicks));
    await picture(`job-${name.replaceAll(" ", "-")}`);
  };
  const menu = (name) => page.locator("nav.side").getByRole("link", { name: new RegExp(`^${name}`) }).click();
  const dialog = page.locator("dialog[open]");
  const instance = async (id) => (await api("/services")).flatMap((s) => s.instances).find((i) => i.id === id);

  await page.goto(url);
  await page.waitForSelector("[data-instance]");
  await api(`/demo/instances/${sick}/fault`, { errorRate: 1, latencyMs: 1 });

  await job("find the sick instance", 2, async (check, comes) => {
    await comes("it is counted", () => Number.parseInt(document.querySelector(".trouble .num")?.textContent ?? "0") >= 1);
    await page.locator(".trouble").click();
    await comes("it is the first that is listed", (id) => document.querySelector("[data-instance]")?.dataset.instance === id, sick);
    await page.locator(`[data-instance="${sick}"] a`).first().click();
    await comes("why stands there", () => document.querySelectorAll('section[aria-labelledby="why"] li').length > 2);
    await soon(`${"find the sick instance"}: share and errors are the API's`, async () => {
      const i = await instance(sick);
      const share = /([<\d.]+) % of the requests/.exec(await page.locator(".panel .standing").textContent())?.[1];
      return i && share !== undefined && Math.abs(Number.parseFloat(share.replace("<", "")) - 100 * i.share) <= 2;
    });
  });

  await job("follow one request", 3, async (check, comes) => {
    await menu("Decisions");
    const one = page.locator('.vbody a[href^="/decisions/"]').first();
    await one.waitFor();
    await page.keyboard.press("p"); // rows stay where they are
    const id = await one.textContent();
    await page.locator(`.vbody a[href="/decisions/${encodeURIComponent(id)}"]`).first().click();
    await page.waitForSelector(".attempt");
    const [d] = await api(`/decisions/${encodeURIComponent(id)}?span=1h`);
    const text = await page.locator(".attempt").first().textContent();
    check("instance, route and revision are the API's", text.includes(d.instanceId) && text.includes(`route ${d.route}`) && text.includes(d.configRevision), text.slice(0, 300));
    const cost = digits(await page.locator(".candidates tr.selected td").first().textContent());
    const want = d.candidates.find((c) => c.instanceId === d.instanceId)?.cost;
    check("the chosen one's cost is the API's", want === undefined || Math.abs(cost - want) <= Math.max(0.006, want * 0.01), `${cost} ${want}`);
  });

  await job("search and export messages", 6, async (check, comes) => {
    await menu("Topics");
    await page.getByRole("link", { name: "carts", exact: true }).click();
    await page.getByRole("link", { name: "Messages", exact: true }).click();
    await choose(page.getByLabel("Where to begin"), "start");
    await comes("all twenty are listed", () => document.querySelector(".message")?.closest("[aria-setsize]")?.getAttribute("aria-setsize") === "20");
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: /^Export/ }).click()]);
    const lines = readFileSync(await file.path(), "utf8").trim().split("\n").map((l) => JSON.parse(l));
    const t = await api("/topics/carts");
    const held = t.partitions.reduce((n, p) => n + p.end - p.start, 0);
    check("the export has as many as the topic", lines.length === held && lines.every((l) => l.topic === "carts"), `${lines.length} of ${held}`);
  });

  await job("produce", 5, async (check, comes) => {
    await menu("Topics");
    await page.getByRole("link", { name: "carts", exact: true }).click();
    await page.getByRole("link", { name: "Messages", exact: true }).click();
    await page.getByRole("button", { name: "Produce …" }).click();
    await write("Value", '{"n":21}');
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await comes("where it went is said", () => /Sent: partition \d+, offset \d+/.test(document.querySelector(".tail-tools")?.textContent ?? ""));
    const [, partition, offset] = /partition (\d+), offset (\d+)/.exec(await page.locator(".tail-tools").textContent());
    const m = await api(`/topics/carts/partitions/${partition}/offsets/${offset}`);
    check("and it is there", JSON.stringify(m).includes('{\\"n\\":21}'), JSON.stringify(m).slice(0, 300));
  });

  await job("reset a group", 7, async (check, comes) => {
    await menu("Groups");
    await page.getByRole("link", { name: "shop", exact: true }).click();
    await page.getByRole("button", { name: "Reset offsets …" }).click();
    await choose(page.getByLabel("To", { exact: true }), "latest");
    await page.getByRole("button", { name: "Preview" }).click();
    await comes("what would become of it is shown", () => document.querySelectorAll(".preview tbody tr").length === 2);
    await page.getByRole("button", { name: "Reset 2 partitions" }).click();
    await comes("no lag is left", () => !document.querySelector("dialog[open]") && /Lag\s*0/.test(document.querySelector(".facts")?.textContent ?? ""));
    const g = await api("/groups/shop");
    check("nor by the API", JSON.stringify(g).match(/"lag":(\d+)/g).every((l) => l === '"lag":0'), JSON.stringify(g).slice(0, 300));
  });

  await job("create a topic", 3, async (check, comes) => {
    await menu("Topics");
    await page.getByRole("button", { name: /^Create/ }).click();
    await dialog.getByLabel("Name", { exact: true }).fill("baskets");
    await dialog.getByLabel("Partitions", { exact: true }).fill("4");
    await dialog.locator("button[type=submit]").click();
    await comes("its page has four partitions", () => location.pathname === "/topics/baskets" && document.querySelectorAll('section[aria-labelledby="partitions-h"] tbody tr').length === 4);
    check("and the API", (await api("/topics/baskets")).partitions.length === 4);
  });

  await job("canary", 4, async (check, comes) => {
    await menu("Configuration");
    await page.getByRole("link", { name: "Edit", exact: true }).click();
    await comes("the document is there", () => /is valid/.test(document.querySelector(".mistakes")?.textContent ?? ""));
    const yaml = "Routes and services, YAML";
    const was = await written(yaml);
    await write(yaml, was.replace(/service: order-service, timeout/, "split: [{service: order-service, weight: 90}, {service: catalog-service, weight: 10}], timeout"));
    await comes("the preview has one line", () => document.querySelectorAll(".diff tr.added").length === 1 && document.querySelector(".diff tr.added").textContent.includes("weight: 10"));
    await page.getByLabel("Comment").fill("canary of 10 %");
    await page.getByRole("button", { name: "Publish" }).click();
    await comes("it is published", () => /is published/.test(document.querySelector(".outcome")?.textContent ?? ""));
    const c = await api("/config");
    check("it is current", c.document.includes("weight: 10}"), c.revision);
    await page.getByRole("link", { name: "Current", exact: true }).click();
    await comes("the node applied it", (r) => document.querySelector(".nodes")?.textContent.includes(`applied ${r}`), c.revision);
  });

  await job("silence an alert", 3, async (check, comes) => {
    await menu("Alerts");
    await comes("it fires", () => document.querySelector('section[aria-labelledby="firing"] [data-alert="fast-failing"]') !== null);
    const firing = (await api("/alerts")).filter((a) => a.status === "firing" && !a.silence).length;
    await soon("silence an alert: the number is the API's and the menu's", async () => {
      const n = (await api("/alerts")).filter((a) => a.status === "firing" && !a.silence).length;
      return digits(await page.locator(".toolbar > span").first().textContent()) === n && digits(await page.locator("nav.side .badge").first().textContent()) === n;
    });
    check("there is one at least", firing >= 1, String(firing));
    await page.locator('[data-alert="fast-failing"]').first().getByRole("button", { name: "Silence" }).click();
    await dialog.getByLabel("Reason").fill("known, ticket 12");
    await dialog.getByRole("button", { name: "Silence" }).click();
    await comes("it is silenced, with the reason, and not red", () => {
      const card = document.querySelector('section[aria-labelledby="silenced"] [data-alert="fast-failing"]');
      return card?.textContent.includes("known, ticket 12") && card.querySelector(".bad, .bad-text") === null && getComputedStyle(card).borderLeftColor !== getComputedStyle(document.querySelector(".badge") ?? card).color;
    });
    check("by the API too", (await api("/silences")).some((s) => s.reason === "known, ticket 12"));
  });

  await job("find who did what", 2, async (check, comes) => {
    await menu("Audit");
    await page.getByLabel("action").fill("publish.config");
    await page.locator(".record").first().waitFor();
    await comes("with the reason", () => /canary of 10 %/.test(document.querySelector(".vbody [role=row]")?.textContent ?? ""));
    await page.locator(".record").first().click();
    await comes("before and after are there", () => document.querySelector("dialog tr.removed") !== null && /weight: 10/.test(document.querySelector("dialog")?.textContent ?? ""));
    const [r] = (await api("/audit?last=1&action=publish.config"));
    const text = await dialog.textContent();
    check("target and reason are the API's", text.includes(r.target.id) && text.includes(r.reason) && r.reason === "canary of 10 %", JSON.stringify(r).slice(0, 300));
  });

  await job("drain and undrain", 4, async (check, comes) => {
    const id = "order-service-2";
    await page.locator(`[data-instance="${id}"] a`).first().click();
    await page.getByRole("button", { name: "Drain…" }).click();
    await dialog.getByLabel("Reason").fill("new disk");
    await dialog.getByRole("button", { name: "Drain" }).click();
    await comes("it drains", () => document.querySelector(".panel .state")?.textContent.includes("draining"));
    check("by the API too", (await instance(id)).state === "draining");
    await comes("what ends it is said", (id) => new RegExp(`rejoins after .smartlb undrain ${id}.\\.`).test(document.querySelector('section[aria-labelledby="why"]')?.textContent ?? ""), id);
    check("with the reason in the audit log", (await api("/audit?last=1&action=drain.instance"))[0]?.reason === "new disk");
    await page.getByRole("button", { name: "Undrain" }).click();
    await comes("it is back", () => !document.querySelector(".panel .state")?.textContent.includes("draining"));
    check("by the API too, again", (await instance(id)).state === "in");
  });

  await job("compare policies", 3, async (check, comes) => {
    await menu("Demo");
    const list = page.getByLabel("Policy of catalog-service");
    await list.waitFor();
    const want = (await list.inputValue()) === "round_robin" ? "maglev" : "round_robin";
    await choose(list, want);
    await comes("it is picked", (p) => document.querySelector('select[aria-label="Policy of catalog-service"]')?.value === p, want);
    await soon("compare policies: and the API's", async () => (await api("/services")).find((s) => s.id === "catalog-service").policy === want);
  });
});
