// Kafka Connect. With a worker: a connector is made, fails, is repaired and
// restarted, paused, edited and deleted. Without: the page says how to get one.
//
//   node e2e/connect.mjs http://127.0.0.1:8083 [FOLDER for screenshots] [URL of the worker, FILE that is a link to itself, URL of who stops the worker]
import { rmSync, writeFileSync } from "node:fs";
import { drive, never } from "./browser.mjs";

const [, , , , worker, file, hands] = process.argv;

const without = async ({ page, url, check, accessible, fits, comes, picture }) => {
  await page.goto(`${url}/connectors`);
  await comes("no worker: it says so, and how to get one", () => /nothing listens there/.test(document.querySelector("main")?.textContent ?? "") && document.querySelector("main").textContent.includes("smartlb kafka start"));
  await accessible("without a worker", true);
  await fits("without a worker");
  await picture("connect-none");
  check("nothing can be created", (await page.getByRole("button", { name: "Create …" }).count()) === 0);
};

const withWorker = async ({ page, profile, url, check, accessible, steady, fits, comes, soon, keys, picture }) => {
  const state = (want) => comes(`it is ${want}`, (w) => document.querySelector(".connector-state .big")?.textContent.trim().startsWith(w), want);
  const onWorker = (path) => fetch(`${worker}/${path}`).then((r) => r.json());
  await page.goto(url);
  await page.waitForSelector(".side a[aria-current]"); // the page listens by then
  await keys("g", "k");
  await comes("g k: no connector yet, and how to make one", () => document.querySelector(".empty")?.textContent.includes("smartlb kafka connect apply"));
  await accessible("no connectors", true);

  // Create
  await page.getByRole("button", { name: "Create …" }).click();
  await page.getByLabel("Name").fill("lines");
  const option = await page.locator("dialog select option", { hasText: "FileStreamSourceConnector" }).getAttribute("value");
  await page.getByLabel("Class").selectOption(option);
  await comes("what is missing is said per setting", () => [...document.querySelectorAll(".setting")].some((e) => e.textContent.includes("topic") && /[Mm]issing required/.test(e.textContent)));
  check("and it is not created", await page.locator("dialog").getByRole("button", { name: "Create" }).isDisabled());
  await accessible("create", true);
  await picture("connect-create");
  const field = (name) => page.locator(".setting", { has: page.locator("code", { hasText: new RegExp(`^${name}$`) }) }).locator("input, select");
  await field("topic").fill("lines");
  const add = async (name, value) => {
    await page.getByLabel("Another setting").fill(name);
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await field(name.replaceAll(".", "\\.")).fill(value);
  };
  await add("file", file);
  await add("db.password", "hunter2");
  await add("db.token", "${file:/run/secrets/db:token}");
  await page.locator("dialog").getByRole("button", { name: "Create" }).click();
  await comes("created: its own page", () => location.pathname === "/connectors/lines");

  // It fails
  await comes("its task fails, and why is in a line", () => /Too many levels|FileSystem/.test(document.querySelector(".trace .bad-text")?.textContent ?? ""));
  await page.locator(".trace summary").click();
  check("the whole trace can be read", (await page.locator(".trace pre").textContent()).includes("\tat org.apache.kafka.connect"));
  const text = await page.locator("main").textContent();
  check("a secret is not shown, a reference is", !text.includes("hunter2") && text.includes("${file:/run/secrets/db:token}"));
  await accessible("a connector that failed", true);
  await fits("a connector that failed");
  await picture("connect-failed");
  await page.goto(`${url}/connectors?q=failed`);
  await comes("list: the state of its tasks", () => /running.*0 of 1 running, 1 failed/.test(document.querySelector('[data-id="lines"]')?.textContent ?? ""));
  await comes("list: nothing is green that failed", () => document.querySelector('[data-id="lines"] .connect-state.bad-text') !== null);
  await steady("connectors");
  await accessible("connectors", true);
  await fits("connectors");
  await picture("connect-list");
  await page.getByRole("link", { name: "lines" }).click();

  // It is repaired
  rmSync(file);
  writeFileSync(file, "one\ntwo\nthree\n");
  await page.getByRole("button", { name: "Restart failed tasks" }).click();
  await comes("restarted: it runs", () => document.querySelector(".connector-state .big")?.textContent.includes("1 running") && !document.querySelector(".trace"));
  await comes("where it stands is told", () => document.querySelector('section[aria-labelledby="offsets-h"]')?.textContent.includes("position"));
  await comes("and the topic that it used", () => document.querySelector('section[aria-labelledby="topics-h"] a')?.textContent === "lines");
  await picture("connect-running");
  await page.getByRole("button", { name: "Pause" }).click();
  await state("paused");
  await page.getByRole("button", { name: "Resume" }).click();
  await state("running");
  await page.getByRole("button", { name: "Stop" }).click();
  await state("stopped");
  await page.getByRole("button", { name: "Resume" }).click();
  await state("running");
  await page.getByRole("button", { name: "Restart all" }).click();
  await comes("restart of all is accepted", () => document.querySelector(".connector-state")?.textContent.includes("the worker accepted it"));
  await state("running");

  // Edit
  await page.getByRole("button", { name: "Edit …" }).click();
  await page.getByLabel("all settings of the class").check();
  await comes("all settings with their defaults", () => document.querySelectorAll(".setting").length > 8);
  await field("batch\\.size").fill("many");
  await comes("the worker says what is wrong", () => [...document.querySelectorAll(".setting")].some((e) => e.textContent.includes("batch.size") && /Invalid value many/.test(e.textContent)));
  await accessible("edit", true);
  await picture("connect-edit");
  await field("batch\\.size").fill("500");
  await comes("what will change is said", () => document.querySelector(".changes")?.textContent.includes("batch.size"));
  check("and nothing else", (await page.locator(".changes p").count()) === 1);
  await page.locator("dialog").getByRole("button", { name: "Save" }).click();
  await comes("saved", () => !document.querySelector("dialog[open]"));
  const config = await onWorker("connectors/lines/config");
  check("the secret stayed as it was", config["db.password"] === "hunter2" && config["db.token"] === "${file:/run/secrets/db:token}" && config["batch.size"] === "500", JSON.stringify(config));

  // The worker hangs, and dies: its keeper starts it again
  const list = await profile();
  await list.goto(`${url}/connectors`);
  await list.waitForSelector('[data-id="lines"]');
  const both = async (what, condition) => {
    for (const [name, p] of Object.entries({ list, connector: page })) {
      const ok = await p.waitForFunction(condition, undefined, { polling: 200, timeout: never }).then(
        () => true,
        () => false,
      );
      check(`${what}: ${name}`, ok, ok ? "" : (await p.locator("main").textContent()).slice(0, 300));
    }
  };
  const well = () => document.querySelector(".stale-note") === null && document.querySelector(".stale") === null && /running/.test(document.querySelector("main")?.textContent ?? "");
  await fetch(`${hands}/hang`, { method: "POST" });
  await both("the worker hangs: the page says so, and greys what it had", () => document.querySelector(".stale-note") !== null && /running/.test(document.querySelector(".stale")?.textContent ?? ""));
  await picture("connect-hangs");
  await fetch(`${hands}/wake`, { method: "POST" });
  await both("it goes on: so does the page", well);
  const answers = () =>
    fetch(`${worker}/`).then(
      (r) => r.ok,
      () => false,
    );
  const until = async (want) => {
    for (let n = 0; n < 1200 && (await answers()) !== want; n++) await page.waitForTimeout(100);
    return (await answers()) === want;
  };
  await fetch(`${hands}/kill`, { method: "POST" });
  check("the worker is dead", await until(false)); // a question of the page may wait until it is back, and say nothing
  check("and its keeper starts it again", await until(true));
  await both("the worker is back: the page shows it running", well);

  // Delete
  await page.getByRole("button", { name: "Delete …" }).click();
  check("its name is asked for", await page.locator("dialog").getByRole("button", { name: "Delete" }).isDisabled());
  await page.getByLabel("Type lines to confirm").fill("lines");
  await page.locator("dialog").getByRole("button", { name: "Delete" }).click();
  await comes("deleted: the list is empty", () => location.pathname === "/connectors" && document.querySelector(".empty"));
  await soon("and so it is on the worker", async () => (await onWorker("connectors")).length === 0);
};

await drive(worker ? withWorker : without, { expected: (m) => /status of (400|404|409|503)/.test(m.text()) });
