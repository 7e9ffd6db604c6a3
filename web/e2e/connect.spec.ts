// A connector on a real worker of Kafka Connect, from its creation to its deletion: it fails, is fixed and restarted,
// paused and edited, and the worker hangs and dies meanwhile. WORKER_URL is the address of the worker, CONNECTOR_FILE a file
// that is a link to itself, WORKER_CONTROL the server of the Go test that stops the worker: POST /hang, /wake, /kill.
import { rmSync, writeFileSync } from "node:fs";
import { keys, picture } from "./actions";
import { expect, setting, test } from "./console";

test.use({ allowedMessages: /status of (400|404|409|503)/ }); // settings that the worker refuses, and calls while it is down

test("lives from its creation to its deletion", async ({ page, otherPage }) => {
  const worker = setting("WORKER_URL");
  const file = setting("CONNECTOR_FILE");
  const control = (what: string) => fetch(`${setting("WORKER_CONTROL")}/${what}`, { method: "POST" });
  const state = (want: string) => expect(page.locator(".connector-state .big").first(), `it is ${want}`).toHaveText(new RegExp(`^\\s*${want}`));
  const onWorker = async <T>(path: string): Promise<T> => {
    let body: unknown;
    await expect(async () => {
      const r = await fetch(`${worker}/${path}`);
      expect(r.status, "a worker that rebalances answers 409 for a moment").toBe(200);
      body = await r.json();
    }).toPass();
    return body as T;
  };
  await page.goto("/");
  await page.locator(".side a[aria-current]").first().waitFor(); // the page listens by then
  await keys(page, "g", "k");
  await expect(page.locator(".empty").first(), "g k: no connector yet, and how to make one").toContainText("smartlb kafka connect apply");
  await expect(page, "no connectors").toBeAccessible({ all: true });

  // Create
  await page.getByRole("button", { name: "Create …" }).click();
  await page.getByLabel("Name").fill("lines");
  const option = await page.locator("dialog select option", { hasText: "FileStreamSourceConnector" }).getAttribute("value");
  await page.getByLabel("Class").selectOption(option);
  await expect(page, "what is missing is said per setting").toSatisfy(() => [...document.querySelectorAll(".setting")].some((e) => e.textContent.includes("topic") && /[Mm]issing required/.test(e.textContent)));
  await expect(page.locator("dialog").getByRole("button", { name: "Create" }), "and it is not created").toBeDisabled();
  await expect(page, "create").toBeAccessible({ all: true });
  await picture(page, "connect-create");
  const field = (name: string) => page.locator(".setting", { has: page.locator("code", { hasText: new RegExp(`^${name}$`) }) }).locator("input, select");
  await field("topic").fill("lines");
  const add = async (name: string, value: string) => {
    await page.getByLabel("Another setting").fill(name);
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await field(name.replaceAll(".", "\\.")).fill(value);
  };
  await add("file", file);
  await add("db.password", "hunter2");
  await add("db.token", "${file:/run/secrets/db:token}");
  await page.locator("dialog").getByRole("button", { name: "Create" }).click();
  await expect(page, "created: its own page").toHaveURL((u) => u.pathname === "/connectors/lines");

  // It fails
  await expect(page.locator(".trace .bad-text").first(), "its task fails, and why is in a line").toContainText(/Too many levels|FileSystem/);
  await page.locator(".trace summary").click();
  await expect(page.locator(".trace pre"), "the whole trace can be read").toContainText("\tat org.apache.kafka.connect");
  const text = await page.locator("main").textContent();
  expect(text, "a secret is not shown, a reference is").not.toContain("hunter2");
  expect(text, "a secret is not shown, a reference is").toContain("${file:/run/secrets/db:token}");
  await expect(page, "a connector that failed").toBeAccessible({ all: true });
  await expect(page, "a connector that failed").toFitNarrowScreen();
  await picture(page, "connect-failed");
  await page.goto("/connectors?q=failed");
  await expect(page.locator('[data-id="lines"]').first(), "list: the state of its tasks").toContainText(/running.*0 of 1 running, 1 failed/);
  await expect(page.locator('[data-id="lines"] .connect-state.bad-text').first(), "list: nothing is green that failed").toBeAttached();
  await expect(page, "connectors").toBeSteady();
  await expect(page, "connectors").toBeAccessible({ all: true });
  await expect(page, "connectors").toFitNarrowScreen();
  await picture(page, "connect-list");
  await page.getByRole("link", { name: "lines" }).click();

  // It is repaired
  rmSync(file);
  writeFileSync(file, "one\ntwo\nthree\n");
  await page.getByRole("button", { name: "Restart failed tasks" }).click();
  await expect(page, "restarted: it runs").toSatisfy(() => document.querySelector(".connector-state .big")?.textContent.includes("1 running") && !document.querySelector(".trace"));
  await expect(page.locator('section[aria-labelledby="offsets-h"]').first(), "where it stands is told").toContainText("position");
  await expect(page.locator('section[aria-labelledby="topics-h"] a').first(), "and the topic that it used").toHaveText("lines");
  await picture(page, "connect-running");
  await page.getByRole("button", { name: "Pause" }).click();
  await state("paused");
  await page.getByRole("button", { name: "Resume" }).click();
  await state("running");
  await page.getByRole("button", { name: "Stop" }).click();
  await state("stopped");
  await page.getByRole("button", { name: "Resume" }).click();
  await state("running");
  await page.getByRole("button", { name: "Restart all" }).click();
  await expect(page.locator(".connector-state").first(), "restart of all is accepted").toContainText("the worker accepted it");
  await state("running");

  // Edit
  await page.getByRole("button", { name: "Edit …" }).click();
  await page.getByLabel("all settings of the class").check();
  await expect(page, "all settings with their defaults").toSatisfy(() => document.querySelectorAll(".setting").length > 8);
  await field("batch\\.size").fill("many");
  await expect(page, "the worker says what is wrong").toSatisfy(() => [...document.querySelectorAll(".setting")].some((e) => e.textContent.includes("batch.size") && /Invalid value many/.test(e.textContent)));
  await expect(page, "edit").toBeAccessible({ all: true });
  await picture(page, "connect-edit");
  await field("batch\\.size").fill("500");
  await expect(page.locator(".changes").first(), "what will change is said").toContainText("batch.size");
  await expect(page.locator(".changes p"), "and nothing else").toHaveCount(1);
  await page.locator("dialog").getByRole("button", { name: "Save" }).click();
  await expect(page.locator("dialog[open]"), "saved").toHaveCount(0);
  const config = await onWorker<Record<string, string>>("connectors/lines/config");
  expect(config["db.password"], "the secret stayed as it was").toBe("hunter2");
  expect(config["db.token"], "the secret stayed as it was").toBe("${file:/run/secrets/db:token}");
  expect(config["batch.size"], "the secret stayed as it was").toBe("500");

  // The worker hangs, and dies: its keeper starts it again
  const list = await otherPage();
  await list.goto("/connectors");
  await list.locator('[data-id="lines"]').waitFor();
  const both = async (what: string, condition: () => boolean) => {
    for (const [name, p] of Object.entries({ list, connector: page })) await expect(p, `${what}: ${name}`).toSatisfy(condition);
  };
  const well = () => document.querySelector(".stale-note") === null && document.querySelector(".stale") === null && /running/.test(document.querySelector("main")?.textContent ?? "");
  await control("hang");
  await both("the worker hangs: the page says so, and greys what it had", () => document.querySelector(".stale-note") !== null && /running/.test(document.querySelector(".stale")?.textContent ?? ""));
  await picture(page, "connect-hangs");
  await control("wake");
  await both("it goes on: so does the page", well);
  const answers = () =>
    fetch(`${worker}/`).then(
      (r) => r.ok,
      () => false,
    );
  await control("kill");
  await expect.poll(answers, "the worker is dead").toBe(false); // a call of the page may wait until the worker is back
  await expect.poll(answers, "and its supervisor starts it again").toBe(true);
  await both("the worker is back: the page shows it running", well);

  // Delete
  await page.getByRole("button", { name: "Delete …" }).click();
  await expect(page.locator("dialog").getByRole("button", { name: "Delete" }), "its name is asked for").toBeDisabled();
  await page.getByLabel("Type lines to confirm").fill("lines");
  await page.locator("dialog").getByRole("button", { name: "Delete" }).click();
  await expect(page, "deleted: the list is empty").toSatisfy(() => location.pathname === "/connectors" && document.querySelector(".empty"));
  await expect.poll(async () => (await onWorker<string[]>("connectors")).length === 0, "and so it is on the worker").toBe(true);
});
