// The topics' pages of a demo that also has the topic stock with nine records
// in each of two partitions.
//
//   node e2e/topics.mjs http://127.0.0.1:8083 [FOLDER for screenshots]
import { drive } from "./browser.mjs";

const rows = ".vbody [role=row]";
const first = () => document.querySelector(".vbody [role=row] a")?.textContent;
// What was asked for to be refused; and a page that asks once more for what it has just deleted.
const refused = (m) => m.text().includes("status of 4") && /dryRun|topics\/(nobody|stok|orders-copy|service-metrics\.dlq)/.test(m.location().url);

await drive(async ({ page, url, check, accessible, steady, fits, comes, picture }) => {
  const partitions = page.locator('section[aria-labelledby="partitions-h"] tbody tr');
  const dialog = page.locator("dialog[open]");
  const count = (what, n) => comes(what, (n) => document.querySelectorAll('section[aria-labelledby="partitions-h"] tbody tr').length === n, n);

  // The list
  await page.goto(`${url}/topics`);
  await page.waitForSelector(rows);
  await comes("list: the catalog's twelve and stock", () => document.querySelectorAll(".vbody [role=row]").length >= 13 && document.querySelector("main")?.textContent.includes("stock"));
  const all = await page.locator(rows).count(); // and what Connect keeps, where there is one
  await comes("list: sizes and rates come", () => [...document.querySelectorAll(".vbody [role=row]")].some((r) => /KiB/.test(r.textContent)));
  await steady("list");
  await accessible("list");
  await fits("list");
  await page.getByRole("button", { name: "Messages" }).click();
  await page.mouse.move(5, 800); // under the pointer the order would stay as it was at the press
  await comes("list: sorted by messages, the most first", () => document.querySelector(".vbody [role=row] a")?.textContent === "service-metrics");
  await comes("list: the order is in the address", () => location.search.includes("sort=-messages"));
  await page.keyboard.press("/");
  await page.keyboard.type("sto");
  await comes("list: the filter leaves one", () => document.querySelectorAll(".vbody [role=row]").length === 1 && document.querySelector(".vbody [role=row] a")?.textContent === "stock");
  await comes("list: the filter is in the address", () => new URL(location.href).searchParams.get("q") === "sto");
  await page.reload();
  await comes("list: and holds after a reload", () => document.querySelectorAll(".vbody [role=row]").length === 1);
  await page.getByRole("searchbox").fill("nothing of this name");
  await page.getByRole("button", { name: /^Show all/ }).click();
  await comes("list: an empty one teaches the way back", (n) => document.querySelectorAll(".vbody [role=row]").length >= n, all);
  await picture("topics-list");

  // One topic
  await page.getByRole("link", { name: "stock", exact: true }).click();
  await partitions.first().waitFor();
  await count("topic: two partitions", 2);
  const cells = (await partitions.first().locator("td").allTextContents()).join(" ");
  check("topic: leader, replicas, in sync, start, end, messages", /^(\d) \1 \1 0 9 9 /.test(cells), cells);
  await comes("topic: sizes come", () => !document.querySelector('section[aria-labelledby="partitions-h"] tbody')?.textContent.includes("–"));
  await comes("topic: two charts with their numbers in words", () => document.querySelectorAll("figure [role=img]").length === 2);
  await accessible("topic");
  await fits("topic");
  await picture("topic");

  // Tabs, each with its address
  await page.getByRole("link", { name: "Schema", exact: true }).click();
  await page.getByRole("heading", { name: "No schema is known for this topic" }).waitFor();
  await page.goto(`${url}/topics/service-metrics/schema`);
  await page.getByRole("rowheader", { name: "metrics.p95Latency" }).waitFor();
  check("schema: fields with types", /number/.test(await page.locator("tr", { hasText: "metrics.p95Latency" }).textContent()));
  await accessible("schema");
  await fits("schema");
  await page.goto(`${url}/topics/service-metrics/consumers`);
  await page.getByRole("button", { name: /smartlb-analyzer/ }).click();
  await page.getByRole("rowheader", { name: "partition 2" }).waitFor();
  await comes("consumers: the open one is in the address", () => new URL(location.href).searchParams.get("group") === "smartlb-analyzer");
  await accessible("consumers");
  await fits("consumers");
  await page.goto(`${url}/topics/stock/consumers`);
  await page.getByRole("heading", { name: "No consumer group has read this topic" }).waitFor();

  // Create
  await page.goto(`${url}/topics`);
  await page.getByRole("button", { name: "Create topic" }).click();
  await dialog.waitFor();
  await accessible("create");
  const create = dialog.getByRole("button", { name: "Create", exact: true });
  await page.getByLabel("Name").fill("bad name");
  await comes("create: a bad name is said while it is typed", () => /letters, digits/.test(document.querySelector(".verdict")?.textContent ?? ""));
  check("create: and cannot be sent", await create.isDisabled());
  await page.getByLabel("Name").fill("<img src=x onerror=alert(1)>");
  await comes("create: markup in a name is only text", () => /img src/.test(document.querySelector(".verdict")?.textContent ?? "") && !document.querySelector(".verdict img"));
  await page.getByLabel("Name").fill("alerts");
  await comes("create: a name that is taken", () => /already exists|exists/i.test(document.querySelector(".verdict")?.textContent ?? ""));
  await page.getByLabel("Name").fill("orders");
  await page.getByLabel("Partitions").fill("4");
  await page.getByLabel("Add a setting").selectOption("retention.ms");
  await page.getByLabel("retention.ms", { exact: true }).fill("2");
  await page.getByLabel("Unit of retention.ms").selectOption("h");
  await comes("create: the broker would take it", () => /accepts this topic/.test(document.querySelector(".verdict")?.textContent ?? ""));
  await picture("topic-create");
  await create.click();
  await page.waitForURL("**/topics/orders");
  await count("create: four partitions", 4);

  // Clone
  await page.getByRole("button", { name: "Clone …" }).click();
  await comes("clone: the form has the model's shape", () => document.querySelector("dialog input[type=number]")?.value === "4");
  check("clone: and its settings", (await dialog.getByLabel("Unit of retention.ms").inputValue()) === "h");
  await comes("clone: the broker would take it", () => /accepts this topic/.test(document.querySelector(".verdict")?.textContent ?? ""));
  await create.click();
  await page.waitForURL("**/topics/orders-copy");
  await page.getByRole("link", { name: "Settings", exact: true }).click();
  await comes("clone: retention of two hours", () => /2 h/.test([...document.querySelectorAll(".settings tr")].find((r) => r.textContent.startsWith("retention.ms"))?.textContent ?? ""));

  // Partitions
  await page.goto(`${url}/topics/stock`);
  await page.getByRole("button", { name: "Add partitions …" }).click();
  await comes("grow: the warning about keys", () => /records of one key go to another partition/.test(document.querySelector("dialog")?.textContent ?? ""));
  await page.getByLabel(/^Partitions in all/).fill("1");
  await comes("grow: fewer are refused with the reason", () => /cannot remove partitions/.test(document.querySelector("dialog")?.textContent ?? ""));
  await page.getByLabel(/^Partitions in all/).fill("3");
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  await comes("grow: a third partition", () => document.querySelectorAll('section[aria-labelledby="partitions-h"] tbody tr').length === 3);

  // Records
  await page.getByRole("button", { name: "Delete records …" }).click();
  await page.getByLabel("Those before").selectOption("offset");
  await page.getByLabel("In partition").selectOption("0");
  await page.getByLabel("First offset that is kept").fill("4");
  await comes("records: what would be lost", () => /4 records would be gone/.test(document.querySelector("dialog")?.textContent ?? ""));
  await accessible("delete records");
  const really = dialog.getByRole("button", { name: "Delete", exact: true });
  check("records: nothing without the name", await really.isDisabled());
  await page.getByLabel(/^Type/).fill("stock");
  await really.click();
  await comes("records: the start moved", () => document.querySelector('section[aria-labelledby="partitions-h"] tbody tr')?.children[4]?.textContent === "4");

  // Delete
  await page.goto(`${url}/topics/orders-copy`);
  await page.getByRole("button", { name: "Delete topic …" }).click();
  await page.getByLabel(/^Type/).fill("orders");
  check("delete: another name does not do", await really.isDisabled());
  await page.getByLabel(/^Type/).fill("orders-copy");
  await really.click();
  await page.waitForURL("**/topics");
  await comes("delete: it is gone from the list", () => {
    const names = [...document.querySelectorAll(".vbody [role=row] a")].map((a) => a.textContent);
    return names.includes("orders") && !names.includes("orders-copy");
  });

  // Kafka's own
  await page.getByLabel("Kafka's internal ones").check();
  await comes("internal: the switch is in the address", () => new URL(location.href).searchParams.get("internal") === "1");

  // The plan
  await page.goto(`${url}/plan`);
  await page.getByRole("heading", { name: "No changes" }).waitFor();
  await page.goto(`${url}/topics/service-metrics.dlq`);
  await page.getByRole("button", { name: "Delete topic …" }).click();
  await comes("delete: smartlb's own says what that means", () => /smartlb uses this topic/.test(document.querySelector("dialog")?.textContent ?? ""));
  await page.getByLabel(/^Type/).fill("service-metrics.dlq");
  await really.click();
  await page.waitForURL("**/topics");
  await page.locator("main").getByRole("link", { name: /^Plan/ }).click();
  await comes("plan: what is missing", () => /service-metrics\.dlq is missing: create it with 1 partition/.test(document.querySelector(".steps")?.textContent ?? ""));
  await accessible("plan");
  await fits("plan");
  await picture("plan");
  await page.getByRole("button", { name: "Apply one step" }).click();
  await dialog.getByRole("button", { name: "Apply", exact: true }).click();
  await comes("plan: the result of the step", () => /1 done, 0 failed/.test(document.querySelector("#result-h")?.textContent ?? ""));
  await comes("plan: nothing differs any more", () => /No changes/.test(document.querySelector("#steps-h")?.textContent ?? ""));

  // Places that are none
  await page.goto(`${url}/topics/stok`);
  await comes("an unknown topic: the one that was meant", () => /did you mean stock/.test(document.querySelector("main")?.textContent ?? ""));
  await page.goto(`${url}/topics/${encodeURIComponent("<script>nobody</script>")}`);
  await comes("a hostile name is only text", () => /script>nobody/.test(document.querySelector("main")?.textContent ?? "") && !document.querySelector("main script"));
  await page.goto(`${url}/topics/stock/nowhere`);
  await page.getByRole("heading", { name: /has no page/ }).waitFor();

  // Light
  await page.goto(`${url}/topics/service-metrics`);
  await page.getByRole("button", { name: /^Theme/ }).click();
  await partitions.first().waitFor();
  await accessible("topic, light");
  await page.goto(`${url}/topics`);
  await page.waitForSelector(rows);
  await accessible("list, light");
}, { expected: (m) => refused(m) || m.location().url.includes("nobody") });
