// Brokers and health; then the broker dies and comes back while the pages are
// open. The third argument is who kills it (POST /off) and starts it (/on).
import { drive, never } from "./browser.mjs";

const hands = process.argv[4];

await drive(async ({ page, profile, url, check, accessible, steady, fits, comes, soon, picture }) => {
  // Brokers
  await page.goto(`${url}/cluster`);
  await page.waitForSelector('section[aria-labelledby="brokers-h"] tbody tr');
  const brokers = page.locator('section[aria-labelledby="brokers-h"] tbody tr');
  await soon("cluster: one broker, the controller", async () => (await brokers.count()) === 1 && /controller/.test(await brokers.first().textContent()));
  await soon("cluster: an embedded broker of a version that nobody knows is not guessed at", async () => /smartlb, embedded/.test(await brokers.first().textContent()));
  await comes("cluster: its answering time is measured", () => [...document.querySelectorAll('section[aria-labelledby="brokers-h"] tbody tr td')].filter((d) => /\d m?s/.test(d.textContent)).length === 3);
  await comes("cluster: no partition is in trouble", () => document.querySelector(".facts") && document.querySelector("#troubled-h") === null);
  check("cluster: no ZooKeeper, and why", /embedded broker needs none/.test(await page.locator(".beside").textContent()));
  await steady("cluster");
  await accessible("cluster");
  await fits("cluster");
  await page.getByRole("searchbox").fill("message.max");
  await comes("cluster: settings by name, with their source", () => /message\.max\.bytes.*11 MiB/s.test(document.querySelector('[aria-labelledby="broker-settings-h"] tbody')?.textContent ?? ""));
  await page.goto(`${url}/cluster?broker=7`);
  await page.getByRole("heading", { name: "There is no broker 7" }).waitFor();
  await picture("cluster");

  // Health
  await page.goto(`${url}/health`);
  await page.waitForSelector(".checks li");
  await comes("health: Kafka is well", () => /answers; cluster .*brokers: 1/.test(document.querySelector(".checks.ok")?.textContent ?? ""));
  await steady("health");
  await accessible("health");
  await fits("health");
  await picture("health");

  // Everything open at once
  const places = {
    list: "/topics",
    topic: "/topics/stock",
    settings: "/topics/stock/settings",
    cluster: "/cluster",
    plan: "/plan",
    groups: "/groups",
    group: "/groups/shop",
  };
  const what = {
    list: () => document.querySelectorAll(".vbody [role=row]").length === 14,
    topic: () => document.querySelectorAll('section[aria-labelledby="partitions-h"] tbody tr').length === 2,
    settings: () => document.querySelectorAll("table.settings tbody tr").length > 5,
    cluster: () => document.querySelectorAll('section[aria-labelledby="brokers-h"] tbody tr').length === 1,
    plan: () => document.querySelector("#steps-h") !== null,
    groups: () => document.querySelectorAll(".vbody [role=row]").length === 1,
    group: () => document.querySelectorAll("section table tbody tr").length === 2,
  };
  const pages = {};
  for (const [name, place] of Object.entries(places)) {
    pages[name] = await profile();
    await pages[name].goto(url + place);
    const there = await pages[name].waitForFunction(what[name], undefined, { polling: 200 }).then(
      () => true,
      () => false,
    );
    check(`open: ${name}`, there, there ? "" : (await pages[name].locator("main").textContent()).slice(0, 300));
  }
  const all = async (title, condition) => {
    for (const [name, p] of Object.entries(pages)) {
      const ok = await p.waitForFunction(condition, undefined, { polling: 200, timeout: never }).then(
        () => true,
        () => false,
      );
      check(`${title}: ${name}`, ok, ok ? "" : (await p.locator("main").textContent()).slice(0, 300));
    }
  };
  await fetch(`${hands}/off`, { method: "POST" });
  await all("the broker is gone: the page says so, and why", () => /nothing listens|does not answer/.test(document.querySelector(".stale-note")?.textContent ?? ""));
  for (const [name, p] of Object.entries(pages)) await soon(`and keeps what it had, greyed: ${name}`, async () => (await p.evaluate(what[name])) && (await p.locator("main .stale").count()) > 0);
  await page.getByRole("button", { name: "Check again" }).click();
  await comes("health: the problem is first, with its cause and a command to copy", () => {
    const c = document.querySelector(".checks.problem");
    return /nothing listens/.test(c?.textContent ?? "") && /smartlb kafka start/.test(c?.querySelector("code")?.textContent ?? "");
  });
  await accessible("health with a problem");
  await accessible("health");
  await picture("health-problem");
  await fetch(`${hands}/on`, { method: "POST" });
  await all("the broker is back: the page goes on by itself", () => document.querySelector(".stale-note") === null && document.querySelector("main .stale") === null);
  for (const [name, p] of Object.entries(pages)) await soon(`with what is there: ${name}`, () => p.evaluate(what[name]));
  await fetch(`${hands}/hang`, { method: "POST" });
  await all("the broker hangs: the page says so", () => /does not answer/.test(document.querySelector(".stale-note")?.textContent ?? ""));
  await fetch(`${hands}/wake`, { method: "POST" });
  await all("the broker answers again: the page goes on by itself", () => document.querySelector(".stale-note") === null && document.querySelector("main .stale") === null);
  await comes("health: well again by itself", () => !document.querySelector(".checks.problem") && /answers/.test(document.querySelector(".checks.ok")?.textContent ?? ""));
}, { expected: (m) => /\/api\/v1\/(overview|cluster$)/.test(m.location().url) }); // a console without a proxy has none to ask, and health asks whether Kafka is there
