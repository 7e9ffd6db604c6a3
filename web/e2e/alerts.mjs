// The demo's controls, alerts and the audit log in the console of a running
// demo: an instance is broken, the alert about it fires, is silenced and
// resolved, and all of it is audited in a chain.
//
//   node e2e/alerts.mjs http://127.0.0.1:8083 [FOLDER for screenshots] [PID of the broker]
import { drive } from "./browser.mjs";

const sick = "user-service-3";
const broker = Number(process.argv[4] ?? 0);
const why = '<script>alert(1)</script> "known"';

await drive(async ({ page, url, check, accessible, fits, comes, soon, press, picture, steady, settled }) => {
  // Demo
  await page.goto(`${url}/demo`);
  await page.waitForSelector(".presets");
  await steady("demo");
  await accessible("demo", true);
  await fits("demo");
  await page.locator(".break-form select").selectOption(sick);
  await press("demo: it is broken", page.getByRole("button", { name: `Break ${sick}` }), (id) => document.querySelector(`[data-broken="${id}"]`) !== null, sick);
  await comes("demo: its share falls", (id) => {
    const m = /gets (<?[\d.]+) %/.exec(document.querySelector(`[data-broken="${id}"]`)?.textContent ?? "");
    return m !== null && Number.parseFloat(m[1].replace("<", "")) < 3;
  }, sick);
  await page.getByRole("button", { name: "×10", exact: true }).click();
  await comes("demo: the load is changed", () => document.querySelector('.segments [aria-pressed="true"]')?.textContent === "×10");
  await comes("demo: and arrives", async () => (await (await fetch("/api/v1/services")).json()).reduce((n, s) => n + s.rate, 0) > 120);
  await page.getByRole("button", { name: "×5", exact: true }).click();
  await page.getByLabel("Policy of catalog-service").selectOption("round_robin");
  await comes("demo: a policy is picked by a revision", () => document.querySelector('select[aria-label="Policy of catalog-service"]')?.value === "round_robin");
  await picture("demo");

  // Alerts
  await page.goto(`${url}/alerts`);
  await comes("alerts: it fires", () => document.querySelector('section[aria-labelledby="firing"] [data-alert="fast-failing"]') !== null);
  // What fires beside it, because the machine is busy, counts as well.
  const counted = () => Number.parseInt(document.querySelector(".side .badge")?.textContent ?? "0") === document.querySelectorAll('section[aria-labelledby="firing"] [data-alert]').length;
  await comes("the menu counts it", counted);
  const card = await page.locator('[data-alert="fast-failing"]').first().textContent();
  check("alerts: value against threshold, since, labels", /value .* against .*since .*instance=/.test(card), card);
  await comes("a hostile alert is text", () => {
    const cards = [...document.querySelectorAll('section[aria-labelledby="pending"] .alert-card')];
    return cards.some((c) => c.textContent.includes("<img src=x onerror=alert(1)>")) && document.querySelector("main img, main script, main b b") === null;
  });
  await accessible("alerts", true);
  await fits("alerts");
  await picture("alerts");
  await page.locator('[data-alert="fast-failing"]').first().getByRole("button", { name: "Silence" }).click();
  await page.getByLabel("Reason").fill(why);
  await accessible("silence", true);
  await page.getByRole("dialog").getByRole("button", { name: "Silence" }).click();
  await comes("silenced: shown as such, with who and why", (why) => document.querySelector('section[aria-labelledby="silenced"] [data-alert="fast-failing"]')?.textContent.includes(why), why);
  await comes("silenced: it fires no more", () => document.querySelector('section[aria-labelledby="firing"] [data-alert="fast-failing"]') === null);
  await comes("silenced: the menu counts it no more", counted);
  await page.reload();
  await comes("silenced: also after a reload", () => document.querySelector('section[aria-labelledby="silenced"] [data-alert]') !== null);
  await page.locator("[data-silence]").getByRole("button", { name: "End" }).click();
  await comes("the silence is ended: it fires again", () => document.querySelector('section[aria-labelledby="firing"] [data-alert="fast-failing"]') !== null && document.querySelector("[data-silence]") === null);
  await page.locator(".label-chip a", { hasText: sick }).first().click();
  await comes("an alert leads to its instance", (id) => location.pathname.endsWith(`/${id}`), sick);
  await comes("the panel has the cost over time", () => document.querySelector(".cost-bars canvas") !== null);
  await comes("and the ejection", () => /ejected/.test(document.querySelector('section[aria-labelledby="standings"]')?.textContent ?? ""));
  await comes("and each health check", () => document.querySelectorAll(".probe-checks i").length > 3);
  await comes("and each fact with age and trust", () => document.querySelectorAll(".kafka-facts tbody tr").length === 5);
  await page.locator(".panel").evaluate((e) => e.scrollTo(0, 0));
  await accessible("panel", true);
  await picture("instance");
  // Leaving the page before the response would cancel the request.
  await press("it is healed", page.locator(".actions").getByRole("button", { name: "Heal" }), () => /Break: slow/.test(document.querySelector(".actions")?.textContent ?? ""));
  await page.goto(`${url}/alerts`);
  await comes("healed: it is resolved", () => document.querySelector('section[aria-labelledby="resolved"] [data-alert="fast-failing"]') !== null && document.querySelector('section[aria-labelledby="firing"] [data-alert="fast-failing"]') === null);

  // Audit
  await page.goto(`${url}/audit`);
  await page.waitForSelector(".vbody [role=row]");
  // Each is asked for: only what is in sight is in the page, and how much was ejected and readmitted by now is the demo's affair.
  for (const want of ["break.instance", "heal.instance", "silence.alerts", "unsilence.alerts", "load.demo", "policy.service", "apply.config", "start.node"]) {
    await page.getByLabel("action").fill(want);
    await comes(`audit: ${want}`, (w) => [...document.querySelectorAll(".vbody .record")].some((r) => r.textContent === w), want);
  }
  await page.getByLabel("action").fill("");
  await page.getByLabel("actor").fill("<script>evil");
  await comes("audit: a hostile record is text", () => {
    const list = [...document.querySelectorAll(".vbody [role=row]")];
    return list.length === 1 && list[0].textContent.includes("<script>evil</script>") && document.querySelector(".vbody script, .vbody img") === null;
  });
  await page.getByLabel("actor").fill("");
  await comes("audit: the chain is intact", () => /chain intact/.test(document.querySelector(".chain")?.textContent ?? ""));
  await steady("audit");
  await accessible("audit", true);
  await fits("audit");
  await picture("audit");
  await page.getByLabel("action").fill("POLICY");
  await comes("audit: the filter leaves what is like that", () => {
    const list = [...document.querySelectorAll(".vbody .record")];
    return list.length > 0 && list.every((r) => r.textContent === "policy.service");
  });
  await comes("audit: it is in the address", () => location.search.includes("action=POLICY"));
  await page.locator(".record").first().click();
  await comes("audit: before and after", () => /adaptive/.test(document.querySelector("dialog tr.removed")?.textContent ?? "") && /round_robin/.test(document.querySelector("dialog tr.added")?.textContent ?? ""));
  await accessible("an audit record", true);
  await page.keyboard.press("Escape");
  await comes("an audit record: Escape closes it", () => document.querySelector("dialog[open]") === null);
  await page.getByLabel("action").fill("nothing.like.this");
  await comes("audit: nothing is like that, and says so", () => /No record matches/.test(document.querySelector("main")?.textContent ?? ""));
  await page.getByRole("button", { name: "Show all" }).click();
  await page.waitForSelector(".vbody [role=row]");
  await page.locator(".chain").click();
  await comes("audit: the chains of each node", () => document.querySelectorAll("dialog tbody tr").length >= 1);
  await accessible("chains", true);
  await page.keyboard.press("Escape");

  if (!broker) return;
  const rows = await page.locator(".vbody [role=row]").count();
  const since = await page.evaluate(() => Date.now());
  process.kill(broker, "SIGKILL"); // it is started again by its supervisor
  await page.waitForTimeout(6_000);
  check("the broker died: the audit page keeps what it had", (await page.locator(".vbody [role=row]").count()) >= rows);
  await page.goto(`${url}/alerts`);
  await comes("alerts are there", () => document.querySelector('section[aria-labelledby="resolved"] [data-alert]') !== null);
  await page.goto(`${url}/demo`);
  const policy = page.getByLabel("Policy of catalog-service");
  await soon("a policy is picked again", async () => {
    if ((await policy.isEnabled()) && (await policy.inputValue()) !== "adaptive") await policy.selectOption("adaptive"); // refused as long as the broker is away
    return (await policy.isEnabled()) && (await policy.inputValue()) === "adaptive";
  });
  await page.goto(`${url}/audit?action=policy`);
  await comes("it is back: new records come", (was) => Date.parse(document.querySelector(".vbody time")?.dateTime) > was, since);
  settled();
}, { expected: (m) => process.argv[4] && /Failed to load resource/.test(m.text()) }); // while the broker is away
