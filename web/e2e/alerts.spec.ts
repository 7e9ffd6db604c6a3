// The demo's controls, alerts and the audit log in the console of a running demo. The Go test has written an alert and
// an audit record whose texts are markup. BROKER_PID is the process of the broker, which the last test kills.
import { picture, pressUntil } from "./actions";
import { expect, setting, sick, test } from "./console";

const why = '<script>alert(1)</script> "known"';

test.afterEach(({ api }) => api.heal(sick));

test("breaks an instance, changes load and policy of the demo", async ({ page }) => {
  await page.goto("/demo");
  await page.locator(".presets").first().waitFor();
  await expect(page, "demo").toBeSteady();
  await expect(page, "demo").toBeAccessible({ all: true });
  await expect(page, "demo").toFitNarrowScreen();
  await page.locator(".break-form select").selectOption(sick);
  await pressUntil(page, "demo: it is broken", page.getByRole("button", { name: `Break ${sick}` }), (id: string) => document.querySelector(`[data-broken="${id}"]`) !== null, sick);
  await expect(page, "demo: its share falls").toSatisfy((id: string) => {
    const m = /gets (<?[\d.]+) %/.exec(document.querySelector(`[data-broken="${id}"]`)?.textContent ?? "");
    return m !== null && Number.parseFloat(m[1].replace("<", "")) < 3;
  }, sick);
  await page.getByRole("button", { name: "×10", exact: true }).click();
  await expect(page.locator('.segments [aria-pressed="true"]').first(), "demo: the load is changed").toHaveText("×10");
  await expect(page, "demo: and arrives").toSatisfy(async () => (await (await fetch("/api/v1/services")).json()).reduce((n: number, s: { rate: number }) => n + s.rate, 0) > 120);
  await page.getByRole("button", { name: "×5", exact: true }).click();
  await page.getByLabel("Policy of catalog-service").selectOption("round_robin");
  await expect(page, "demo: a policy is picked by a revision").toSatisfy(() => document.querySelector<HTMLSelectElement>('select[aria-label="Policy of catalog-service"]')?.value === "round_robin");
  await picture(page, "demo");
});

test("shows an alert until it is silenced or resolved", async ({ page, broken }) => {
  await page.goto("/alerts");
  await expect(page.locator('section[aria-labelledby="firing"] [data-alert="fast-failing"]').first(), "alerts: it fires").toBeAttached();
  // What fires beside it, because the machine is busy, counts as well.
  const counted = () => Number.parseInt(document.querySelector(".side .badge")?.textContent ?? "0") === document.querySelectorAll('section[aria-labelledby="firing"] [data-alert]').length;
  await expect(page, "the menu counts it").toSatisfy(counted);
  const card = await page.locator('[data-alert="fast-failing"]').first().textContent();
  expect(card, "alerts: value against threshold, since, labels").toMatch(/value .* against .*since .*instance=/);
  await expect(page, "a hostile alert is text").toSatisfy(() => {
    const cards = [...document.querySelectorAll('section[aria-labelledby="pending"] .alert-card')];
    return cards.some((c) => c.textContent.includes("<img src=x onerror=alert(1)>")) && document.querySelector("main img, main script, main b b") === null;
  });
  await expect(page, "alerts").toBeAccessible({ all: true });
  await expect(page, "alerts").toFitNarrowScreen();
  await picture(page, "alerts");
  await page.locator('[data-alert="fast-failing"]').first().getByRole("button", { name: "Silence" }).click();
  await page.getByLabel("Reason").fill(why);
  await expect(page, "silence").toBeAccessible({ all: true });
  await page.getByRole("dialog").getByRole("button", { name: "Silence" }).click();
  await expect(page.locator('section[aria-labelledby="silenced"] [data-alert="fast-failing"]').first(), "silenced: shown as such, with who and why").toContainText(why);
  await expect(page.locator('section[aria-labelledby="firing"] [data-alert="fast-failing"]'), "silenced: it fires no more").toHaveCount(0);
  await expect(page, "silenced: the menu counts it no more").toSatisfy(counted);
  await page.reload();
  await expect(page.locator('section[aria-labelledby="silenced"] [data-alert]').first(), "silenced: also after a reload").toBeAttached();
  await page.locator("[data-silence]").getByRole("button", { name: "End" }).click();
  await expect(page, "the silence is ended: it fires again").toSatisfy(() => document.querySelector('section[aria-labelledby="firing"] [data-alert="fast-failing"]') !== null && document.querySelector("[data-silence]") === null);
  await page.locator(".label-chip a", { hasText: broken }).first().click();
  await expect(page, "an alert leads to its instance").toHaveURL((u) => u.pathname.endsWith(`/${broken}`));
  await expect(page.locator(".cost-bars canvas").first(), "the panel has the cost over time").toBeAttached();
  await expect(page.locator('section[aria-labelledby="standings"]').first(), "and the ejection").toContainText(/ejected/);
  await expect(page, "and each health check").toSatisfy(() => document.querySelectorAll(".probe-checks i").length > 3);
  await expect(page.locator(".kafka-facts tbody tr"), "and each fact with age and trust").toHaveCount(5);
  await page.locator(".panel").evaluate((e) => e.scrollTo(0, 0));
  await expect(page, "panel").toBeAccessible({ all: true });
  await picture(page, "instance");
  // Leaving the page before the response would cancel the request.
  await pressUntil(page, "it is healed", page.locator(".actions").getByRole("button", { name: "Heal" }), () => /Break: slow/.test(document.querySelector(".actions")?.textContent ?? ""));
  await page.goto("/alerts");
  await expect(page, "healed: it is resolved").toSatisfy(() => document.querySelector('section[aria-labelledby="resolved"] [data-alert="fast-failing"]') !== null && document.querySelector('section[aria-labelledby="firing"] [data-alert="fast-failing"]') === null);
});

test("lists in the audit log who did what", async ({ page, api }) => {
  await api.break(sick);
  await api.heal(sick);
  const { id } = await api.post("/silences", { ruleId: "fast-failing", durationMs: 60_000, reason: why });
  await api.delete(`/silences/${id}`);
  await api.post("/demo/load", { scale: 5 });
  await api.post("/demo/services/catalog-service/policy", { policy: "adaptive" });
  await api.post("/demo/services/catalog-service/policy", { policy: "round_robin" });
  await page.goto("/audit");
  await page.locator(".vbody [role=row]").first().waitFor();
  // The filter looks for each action, because only visible records are in the page.
  for (const want of ["break.instance", "heal.instance", "silence.alerts", "unsilence.alerts", "load.demo", "policy.service", "apply.config", "start.node"]) {
    await page.getByLabel("action").fill(want);
    await expect(page, `audit: ${want}`).toSatisfy((w: string) => [...document.querySelectorAll(".vbody .record")].some((r) => r.textContent === w), want);
  }
  await page.getByLabel("action").fill("");
  await page.getByLabel("actor").fill("<script>evil");
  await expect(page, "audit: a hostile record is text").toSatisfy(() => {
    const list = [...document.querySelectorAll(".vbody [role=row]")];
    return list.length === 1 && list[0].textContent.includes("<script>evil</script>") && document.querySelector(".vbody script, .vbody img") === null;
  });
  await page.getByLabel("actor").fill("");
  await expect(page.locator(".chain").first(), "audit: the chain is intact").toContainText(/chain intact/);
  await expect(page, "audit").toBeSteady();
  await expect(page, "audit").toBeAccessible({ all: true });
  await expect(page, "audit").toFitNarrowScreen();
  await picture(page, "audit");
  await page.getByLabel("action").fill("POLICY");
  await expect(page, "audit: the filter leaves what is like that").toSatisfy(() => {
    const list = [...document.querySelectorAll(".vbody .record")];
    return list.length > 0 && list.every((r) => r.textContent === "policy.service");
  });
  await expect(page, "audit: it is in the address").toHaveURL((u) => u.search.includes("action=POLICY"));
  await page.locator(".record").first().click();
  await expect(page, "audit: before and after").toSatisfy(() => /adaptive/.test(document.querySelector("dialog tr.removed")?.textContent ?? "") && /round_robin/.test(document.querySelector("dialog tr.added")?.textContent ?? ""));
  await expect(page, "an audit record").toBeAccessible({ all: true });
  await page.keyboard.press("Escape");
  await expect(page.locator("dialog[open]"), "an audit record: Escape closes it").toHaveCount(0);
  await page.getByLabel("action").fill("nothing.like.this");
  await expect(page.locator("main").first(), "audit: nothing is like that, and says so").toContainText(/No record matches/);
  await page.getByRole("button", { name: "Show all" }).click();
  await page.locator(".vbody [role=row]").first().waitFor();
  await page.locator(".chain").click();
  await expect(page, "audit: the chains of each node").toSatisfy(() => document.querySelectorAll("dialog tbody tr").length >= 1);
  await expect(page, "chains").toBeAccessible({ all: true });
  await page.keyboard.press("Escape");
});

test.describe("a broker that dies", () => {
  test.skip(!process.env.BROKER_PID, "needs BROKER_PID, the process of the broker");
  test.use({ allowedMessages: /Failed to load resource/ }); // while the broker is unavailable

test("leaves the pages as they are until it is back", async ({ page, api }) => {
  await api.break(sick);
  await page.goto("/alerts");
  await page.locator('section[aria-labelledby="firing"] [data-alert="fast-failing"]').first().waitFor();
  await api.heal(sick);
  await page.locator('section[aria-labelledby="resolved"] [data-alert="fast-failing"]').first().waitFor();
  await page.goto("/audit");
  await page.locator(".vbody [role=row]").first().waitFor();
  const rows = await page.locator(".vbody [role=row]").count();
  const since = await page.evaluate(() => Date.now());
  process.kill(Number(setting("BROKER_PID")), "SIGKILL"); // its supervisor starts it again
  await page.waitForTimeout(6_000);
  expect(await page.locator(".vbody [role=row]").count(), "the broker died: the audit page keeps what it had").toBeGreaterThanOrEqual(rows);
  await page.goto("/alerts");
  await expect(page.locator('section[aria-labelledby="resolved"] [data-alert]').first(), "alerts are there").toBeAttached();
  await page.goto("/demo");
  const policy = page.getByLabel("Policy of catalog-service");
  const other = (await policy.inputValue()) === "adaptive" ? "maglev" : "adaptive";
  await expect
    .poll(async () => {
      if ((await policy.isEnabled()) && (await policy.inputValue()) !== other) await policy.selectOption(other); // refused while the broker is unavailable
      return (await policy.isEnabled()) && (await policy.inputValue()) === other;
    }, "a policy is picked again")
    .toBe(true);
  await page.goto("/audit?action=policy");
  await expect(page, "it is back: new records come").toSatisfy((was: number) => Date.parse(document.querySelector<HTMLTimeElement>(".vbody time")?.dateTime ?? "") > was, since);
});
});
