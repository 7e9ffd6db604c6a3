// The pages of topics in a demo that also has the topic "stock" with nine records in each of two partitions. A test that
// changes a topic makes one of its own.
import type { Page } from "@playwright/test";
import { picture } from "./actions";
import { type Api, expect, test } from "./console";

const rows = ".vbody [role=row]";
// Refused requests, and a page that asks once more for the topic that it has just deleted.
test.use({ allowedMessages: /status of 4.*(dryRun|topics\/(stok|gone|service-metrics\.dlq))|nobody/ });

const partitions = (page: Page) => page.locator('section[aria-labelledby="partitions-h"] tbody tr');
const dialog = (page: Page) => page.locator("dialog[open]");
const button = (page: Page, name: string) => dialog(page).getByRole("button", { name, exact: true });

/** Makes a topic anew. */
async function make(api: Api, name: string, settings: { partitions: number; configs?: Record<string, string> }) {
  await api.removeTopic(name);
  await expect.poll(() => api.post("/topics", { name, ...settings }).then(() => "made", String), `the topic ${name}`).toBe("made");
}

test("lists, sorts and filters topics", async ({ page }) => {
  await page.goto("/topics");
  await page.locator(rows).first().waitFor();
  await expect(page, "list: the catalog's twelve and stock").toSatisfy(() => document.querySelectorAll(".vbody [role=row]").length >= 13 && document.querySelector("main")?.textContent.includes("stock"));
  const all = await page.locator(rows).count(); // with the topics of Connect, if there is a worker
  await expect(page, "list: sizes and rates come").toSatisfy(() => [...document.querySelectorAll(".vbody [role=row]")].some((r) => /KiB/.test(r.textContent)));
  await expect(page, "list").toBeSteady();
  await expect(page, "list").toBeAccessible();
  await expect(page, "list").toFitNarrowScreen();
  await page.getByRole("button", { name: "Messages" }).click();
  await page.mouse.move(5, 800); // under the pointer the order would stay as it was at the press
  await expect(page.locator(".vbody [role=row] a").first(), "list: sorted by messages, the most first").toHaveText("service-metrics");
  await expect(page, "list: the order is in the address").toHaveURL((u) => u.search.includes("sort=-messages"));
  await page.keyboard.press("/");
  await page.keyboard.type("sto");
  await expect(page, "list: the filter leaves one").toSatisfy(() => document.querySelectorAll(".vbody [role=row]").length === 1 && document.querySelector(".vbody [role=row] a")?.textContent === "stock");
  await expect(page, "list: the filter is in the address").toHaveURL((u) => u.searchParams.get("q") === "sto");
  await page.reload();
  await expect(page.locator(".vbody [role=row]"), "list: and holds after a reload").toHaveCount(1);
  await page.getByRole("searchbox").fill("nothing of this name");
  await page.getByRole("button", { name: /^Show all/ }).click();
  await expect(page, "list: an empty one teaches the way back").toSatisfy((n: number) => document.querySelectorAll(".vbody [role=row]").length >= n, all);
  await picture(page, "topics-list");
});

test("shows a topic with its partitions and charts", async ({ page }) => {
  await page.goto("/topics");
  await page.getByRole("link", { name: "stock", exact: true }).click();
  await expect(partitions(page), "topic: two partitions").toHaveCount(2);
  const cells = (await partitions(page).first().locator("td").allTextContents()).join(" ");
  expect(cells, "topic: leader, replicas, in sync, start, end, messages").toMatch(/^(\d) \1 \1 0 9 9 /);
  await expect(page, "topic: sizes come").toSatisfy(() => !document.querySelector('section[aria-labelledby="partitions-h"] tbody')?.textContent.includes("–"));
  await expect(page.locator("figure [role=img]"), "topic: two charts with their numbers in words").toHaveCount(2);
  await expect(page, "topic").toBeAccessible();
  await expect(page, "topic").toFitNarrowScreen();
  await picture(page, "topic");
});

test("shows schema and consumers at addresses of their own", async ({ page }) => {
  await page.goto("/topics/stock");
  await page.getByRole("link", { name: "Schema", exact: true }).click();
  await page.getByRole("heading", { name: "No schema is known for this topic" }).waitFor();
  await page.goto("/topics/service-metrics/schema");
  await page.getByRole("rowheader", { name: "metrics.p95Latency" }).waitFor();
  await expect(page.locator("tr", { hasText: "metrics.p95Latency" }), "schema: fields with types").toContainText(/number/);
  await expect(page, "schema").toBeAccessible();
  await expect(page, "schema").toFitNarrowScreen();
  await page.goto("/topics/service-metrics/consumers");
  await page.getByRole("button", { name: /smartlb-analyzer/ }).click();
  await page.getByRole("rowheader", { name: "partition 2" }).waitFor();
  await expect(page, "consumers: the open one is in the address").toHaveURL((u) => u.searchParams.get("group") === "smartlb-analyzer");
  await expect(page, "consumers").toBeAccessible();
  await expect(page, "consumers").toFitNarrowScreen();
  await page.goto("/topics/stock/consumers");
  await page.getByRole("heading", { name: "No consumer group has read this topic" }).waitFor();
});

test("creates a topic after the broker has checked it", async ({ page, api }) => {
  await api.removeTopic("orders");
  await page.goto("/topics");
  await page.getByRole("button", { name: "Create topic" }).click();
  await dialog(page).waitFor();
  await expect(page, "create").toBeAccessible();
  const create = button(page, "Create");
  await page.getByLabel("Name").fill("bad name");
  await expect(page.locator(".verdict").first(), "create: a bad name is said while it is typed").toContainText(/letters, digits/);
  await expect(create, "create: and cannot be sent").toBeDisabled();
  await page.getByLabel("Name").fill("<img src=x onerror=alert(1)>");
  await expect(page, "create: markup in a name is only text").toSatisfy(() => /img src/.test(document.querySelector(".verdict")?.textContent ?? "") && !document.querySelector(".verdict img"));
  await page.getByLabel("Name").fill("alerts");
  await expect(page.locator(".verdict").first(), "create: a name that is taken").toContainText(/already exists|exists/i);
  await page.getByLabel("Name").fill("orders");
  await page.getByLabel("Partitions").fill("4");
  await page.getByLabel("Add a setting").selectOption("retention.ms");
  await page.getByLabel("retention.ms", { exact: true }).fill("2");
  await page.getByLabel("Unit of retention.ms").selectOption("h");
  await expect(page.locator(".verdict").first(), "create: the broker would take it").toContainText(/accepts this topic/);
  await picture(page, "topic-create");
  await create.click();
  await page.waitForURL("**/topics/orders");
  await expect(partitions(page), "create: four partitions").toHaveCount(4);
});

test("clones a topic with its settings", async ({ page, api }) => {
  await make(api, "model", { partitions: 4, configs: { "retention.ms": "7200000" } });
  await api.removeTopic("model-copy");
  await page.goto("/topics/model");
  await page.getByRole("button", { name: "Clone …" }).click();
  await expect(page, "clone: the form has the model's shape").toSatisfy(() => document.querySelector<HTMLInputElement>("dialog input[type=number]")?.value === "4");
  await expect(dialog(page).getByLabel("Unit of retention.ms"), "clone: and its settings").toHaveValue("h");
  await expect(page.locator(".verdict").first(), "clone: the broker would take it").toContainText(/accepts this topic/);
  await button(page, "Create").click();
  await page.waitForURL("**/topics/model-copy");
  await page.getByRole("link", { name: "Settings", exact: true }).click();
  await expect(page, "clone: retention of two hours").toSatisfy(() => /2 h/.test([...document.querySelectorAll(".settings tr")].find((r) => r.textContent.startsWith("retention.ms"))?.textContent ?? ""));
});

test("adds partitions", async ({ page, api }) => {
  await make(api, "grown", { partitions: 2 });
  await api.post("/topics/grown/messages", { key: "k", value: "v" });
  await page.goto("/topics/grown");
  await page.getByRole("button", { name: "Add partitions …" }).click();
  await expect(page.locator("dialog").first(), "grow: the warning about keys").toContainText(/records of one key go to another partition/);
  await page.getByLabel(/^Partitions in all/).fill("1");
  await expect(page.locator("dialog").first(), "grow: fewer are refused with the reason").toContainText(/cannot remove partitions/);
  await page.getByLabel(/^Partitions in all/).fill("3");
  await button(page, "Add").click();
  await expect(partitions(page), "grow: a third partition").toHaveCount(3);
});

test("deletes records after the name is typed", async ({ page, api }) => {
  await make(api, "emptied", { partitions: 1 });
  for (let n = 0; n < 9; n++) await api.post("/topics/emptied/messages", { value: String(n) });
  await page.goto("/topics/emptied");
  await page.getByRole("button", { name: "Delete records …" }).click();
  await page.getByLabel("Those before").selectOption("offset");
  await page.getByLabel("In partition").selectOption("0");
  await page.getByLabel("First offset that is kept").fill("4");
  await expect(page.locator("dialog").first(), "records: what would be lost").toContainText(/4 records would be gone/);
  await expect(page, "delete records").toBeAccessible();
  const really = button(page, "Delete");
  await expect(really, "records: nothing without the name").toBeDisabled();
  await page.getByLabel(/^Type/).fill("emptied");
  await really.click();
  await expect(page, "records: the start moved").toSatisfy(() => document.querySelector('section[aria-labelledby="partitions-h"] tbody tr')?.children[4]?.textContent === "4");
});

test("deletes a topic after its name is typed", async ({ page, api }) => {
  await make(api, "gone", { partitions: 1 });
  const really = button(page, "Delete");
  await page.goto("/topics/gone");
  await page.getByRole("button", { name: "Delete topic …" }).click();
  await page.getByLabel(/^Type/).fill("stock");
  await expect(really, "delete: another name does not do").toBeDisabled();
  await page.getByLabel(/^Type/).fill("gone");
  await really.click();
  await page.waitForURL("**/topics");
  await expect(page, "delete: it is gone from the list").toSatisfy(() => {
    const names = [...document.querySelectorAll(".vbody [role=row] a")].map((a) => a.textContent);
    return names.includes("stock") && !names.includes("gone");
  });
});

test("hides Kafka's internal topics at first", async ({ page }) => {
  await page.goto("/topics");
  await page.getByLabel("Kafka's internal ones").check();
  await expect(page, "internal: the switch is in the address").toHaveURL((u) => u.searchParams.get("internal") === "1");
});

test("shows and applies the plan that the catalog asks for", async ({ page }) => {
  const really = button(page, "Delete");
  await page.goto("/plan");
  await page.getByRole("heading", { name: "No changes" }).waitFor();
  await page.goto("/topics/service-metrics.dlq");
  await page.getByRole("button", { name: "Delete topic …" }).click();
  await expect(page.locator("dialog").first(), "delete: smartlb's own says what that means").toContainText(/smartlb uses this topic/);
  await page.getByLabel(/^Type/).fill("service-metrics.dlq");
  await really.click();
  await page.waitForURL("**/topics");
  await page.locator("main").getByRole("link", { name: /^Plan/ }).click();
  await expect(page.locator(".steps").first(), "plan: what is missing").toContainText(/service-metrics\.dlq is missing: create it with 1 partition/);
  await expect(page, "plan").toBeAccessible();
  await expect(page, "plan").toFitNarrowScreen();
  await picture(page, "plan");
  await page.getByRole("button", { name: "Apply one step" }).click();
  await button(page, "Apply").click();
  await expect(page.locator("#result-h").first(), "plan: the result of the step").toContainText(/1 done, 0 failed/);
  await expect(page.locator("#steps-h").first(), "plan: nothing differs any more").toContainText(/No changes/);
});

test("names topics and pages that do not exist", async ({ page }) => {
  await page.goto("/topics/stok");
  await expect(page.locator("main").first(), "an unknown topic: the one that was meant").toContainText(/did you mean stock/);
  await page.goto(`/topics/${encodeURIComponent("<script>nobody</script>")}`);
  await expect(page, "a hostile name is only text").toSatisfy(() => /script>nobody/.test(document.querySelector("main")?.textContent ?? "") && !document.querySelector("main script"));
  await page.goto("/topics/stock/nowhere");
  await page.getByRole("heading", { name: /has no page/ }).waitFor();
});

test("is accessible in the light theme", async ({ page }) => {
  await page.goto("/topics/service-metrics");
  await page.getByRole("button", { name: /^Theme/ }).click();
  await partitions(page).first().waitFor();
  await expect(page, "topic, light").toBeAccessible();
  await page.goto("/topics");
  await page.locator(rows).first().waitFor();
  await expect(page, "list, light").toBeAccessible();
});
