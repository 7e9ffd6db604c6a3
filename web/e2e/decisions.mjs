// Routing decisions in the console of a running demo: the live stream with its
// filters, one request in words, one that is not there, and a broker that is
// away for a while.
//
//   node e2e/decisions.mjs http://127.0.0.1:8083 [FOLDER for screenshots] [PID of the broker]
import { drive } from "./browser.mjs";

const sick = "user-service-3";
const broker = Number(process.argv[4] ?? 0);
const rows = ".vbody [role=row]";

await drive(async ({ page, url, check, accessible, steady, fits, comes, picture, settled }) => {
  const call = (path, body) => page.evaluate(([path, body]) => fetch(`/api/v1${path}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }).then((r) => r.status), [path, body]);
  await page.goto(`${url}/decisions`);
  await page.waitForSelector(rows);
  await page.mouse.move(5, 800);
  const newest = () => page.locator(`${rows} time`).first().getAttribute("datetime");
  const was = await newest();
  await comes("stream: new decisions come by themselves", (was) => document.querySelector(".vbody time")?.dateTime !== was, was);
  await steady("stream");
  await accessible("stream", true);
  await fits("stream");
  await page.keyboard.press("p");
  const held = await newest();
  await comes("pause: new ones wait", () => /paused, [1-9]/.test(document.querySelector(".stream-state")?.textContent ?? ""));
  check("pause: the rows stay", (await newest()) === held);
  await page.keyboard.press("p");
  await comes("resume: they are shown", (was) => document.querySelector(".vbody time")?.dateTime !== was, held);
  check("a hostile id is text", (await page.locator(".vbody img, .vbody script, .vbody b").count()) === 0);

  // Failures of one instance
  check("an instance is broken", (await call(`/demo/instances/${sick}/fault`, { errorRate: 1, latencyMs: 1 })) === 200);
  await page.getByLabel("outcome").selectOption("failed");
  await comes("filter: only what failed", () => {
    const list = [...document.querySelectorAll(".vbody [role=row]")];
    return list.length > 0 && list.every((r) => r.querySelector(".bad-text"));
  });
  await page.getByLabel("instance").selectOption(sick);
  await comes("filter: of one instance", (id) => {
    const list = [...document.querySelectorAll(".vbody [role=row]")];
    return list.length > 0 && list.every((r) => r.textContent.includes(id));
  }, sick);
  await comes("the filters are in the address", (id) => /outcome=failed/.test(location.search) && location.search.includes(`instance=${id}`), sick);
  await picture("decisions");
  await page.reload();
  await page.waitForSelector(rows);
  check("and hold after a reload", await page.evaluate((id) => [...document.querySelectorAll(".vbody [role=row]")].every((r) => r.textContent.includes(id) && r.querySelector(".bad-text")), sick));

  // One decision
  // One that was answered 500, as the broken instance does; a busy machine may have had it time out, too. Newer ones may come above it at any time.
  const request = await page.locator(rows, { has: page.locator(".bad-text", { hasText: "500" }) }).first().locator('a[href^="/decisions/"]').textContent();
  await page.locator(`${rows} a[href="/decisions/${encodeURIComponent(request)}"]`).first().click();
  await comes("a decision has an address of its own", (id) => decodeURIComponent(location.pathname) === `/decisions/${id}`, request);
  await page.waitForSelector(".attempt");
  const words = await page.locator(".attempt .lines").first().textContent();
  check("it says why in words", /was chosen because/.test(words) && /It answered 500/.test(words), words);
  check("it shows who was compared", (await page.locator(".candidates tbody tr").count()) >= 2);
  check("and marks the chosen one", (await page.locator(".candidates tr.selected").first().textContent()).includes(sick));
  await accessible("one decision", true);
  await fits("one decision");
  await picture("decision");
  // Its record: the link led to a page of the newest messages.
  const link = page.locator(".attempt a", { hasText: /^routing-decisions \d+\/\d+$/ }).first();
  const [, partition, offset] = /(\d+)\/(\d+)$/.exec(await link.textContent());
  await link.click();
  await comes("its record: the page opens that message", (at) => document.querySelector(".message.selected .m-at")?.textContent === at && document.querySelector(".reader .value, .reader")?.textContent.includes("requestId"), `${partition}:${offset}`);
  check("its record: and that request", (await page.locator(".reader").textContent()).includes(request), await page.locator(".reader").textContent());
  await page.goto(`${url}/decisions/nobody-sent-this`);
  await comes("an unknown request: says what is recorded", () => /Only a sample of all requests is recorded/.test(document.querySelector("main")?.textContent ?? ""));
  await accessible("an unknown request", true);
  await page.goto(`${url}/decisions/${encodeURIComponent('<img src=x onerror=alert(1)>"\u202e')}`);
  await comes("a hostile request is found, as text", () => document.querySelector(".attempt") !== null && document.querySelector("main img") === null);

  // From an instance
  await page.goto(`${url}/instances/user-service/${sick}`);
  await page.getByRole("link", { name: `Decisions about ${sick}` }).click();
  await page.waitForSelector(rows);
  await comes("an instance's panel leads to its decisions", (id) => location.search.includes(`instance=${id}`), sick);
  check("it is healed", (await call(`/demo/instances/${sick}/fault`, { heal: true })) === 200);

  if (!broker) return;
  await page.goto(`${url}/decisions`);
  await page.waitForSelector(rows);
  const before = await page.locator(rows).count();
  process.kill(broker, "SIGSTOP");
  try {
    await comes("the broker hangs: the page says so", () => /Kafka is unavailable/.test(document.querySelector(".stream-state")?.textContent ?? ""));
    check("and keeps its rows", (await page.locator(rows).count()) >= Math.min(before, 5));
  } finally {
    process.kill(broker, "SIGCONT");
  }
  await comes("it is back: live again by itself", () => document.querySelector(".stream-state")?.textContent.startsWith("live"));
  const last = await newest();
  await comes("and new decisions come", (was) => document.querySelector(".vbody time")?.dateTime !== was, last);
  settled();
});
