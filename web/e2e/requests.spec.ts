// The access log of a demo that sends it to Kafka. MASKED_URL is a console of the same cluster that hides addresses;
// OFF_URL is a console of a cluster without access logs.
import type { Page } from "@playwright/test";
import { keys, picture } from "./actions";
import { expect, setting, test } from "./console";

const rows = ".vbody [role=row]";

/** The time of the first row. */
const newest = (page: Page) => page.locator(`${rows} time`).first().getAttribute("datetime");

test("streams requests as they end", async ({ page }) => {
  await page.goto("/");
  await page.locator("[data-instance]").first().waitFor();
  await keys(page, "g", "r");
  await page.locator(rows).first().waitFor();
  await page.mouse.move(5, 800);
  const was = await newest(page);
  await expect(page, "stream: new requests arrive without a reload").toSatisfy((was: string) => document.querySelector<HTMLTimeElement>(".vbody time")?.dateTime !== was, was);
  await expect(page.locator(rows).first(), "a row: method, status, client, instance").toContainText(/(GET|POST).*\d{3}.*127\.0\.0\.1.*-service-\d/);
  await expect(page, "stream").toBeSteady();
  await expect(page, "stream").toBeAccessible({ all: true });
  await expect(page, "stream").toFitNarrowScreen();
  await picture(page, "requests");
  await page.keyboard.press("p");
  const held = await newest(page);
  await expect(page.locator(".stream-state").first(), "pause: new ones wait").toContainText(/paused, [1-9]/);
  expect(await newest(page), "pause: the rows stay").toBe(held);
  await page.keyboard.press("p");
  await expect(page, "resume: they are shown").toSatisfy((was: string) => document.querySelector<HTMLTimeElement>(".vbody time")?.dateTime !== was, held);
});

test("filters by status and instance", async ({ page, broken }) => {
  await page.goto("/requests");
  await page.getByLabel("status").selectOption("5xx");
  await page.getByLabel("instance").selectOption(broken);
  const only = (id: string) => {
    const list = [...document.querySelectorAll(".vbody [role=row]")];
    return list.length > 0 && list.every((r) => r.querySelector(".bad-text") && r.textContent.includes(id));
  };
  await expect(page, "filter: only failures of one instance").toSatisfy(only, broken);
  await expect(page, "the filters are in the address").toHaveURL((u) => u.searchParams.get("outcome") === "5xx" && u.searchParams.get("instance") === broken);
  await page.reload();
  await expect(page, "and hold after a reload").toSatisfy(only, broken);
});

test("finds a request by a part of its path, and opens its record", async ({ page, api }) => {
  await page.goto("/requests");
  await page.locator(rows).first().waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("onerror");
  await expect(page.getByRole("heading", { name: "No logged request matches" }), "text: no request has it").toBeVisible();
  const hostile = { timestamp: new Date().toISOString(), node: "<b>n</b>", method: "<b>GET", target: "<img src=x onerror=alert(1)>", client: "<script>", status: 200, serviceId: "../x", instanceId: "\u202ei" };
  await api.post("/topics/access-logs/messages", { value: JSON.stringify(hostile) });
  await expect(page.locator(rows), "text: the request that has it comes").toHaveCount(1);
  await expect(page.locator(rows), "a hostile request is text").toContainText("<img src=x onerror=alert(1)>");
  await expect(page.locator(".vbody img, .vbody script, .vbody b"), "a hostile request is text").toHaveCount(0);
  await page.locator(`${rows} a.mono`).click();
  await expect(page, "its record").toHaveURL((u) => u.pathname === "/topics/access-logs/messages");
  await expect(page.locator(".reader"), "its record").toContainText("onerror=alert(1)");
});

test("hides what the console masks", async ({ page }) => {
  await page.goto(`${setting("MASKED_URL")}/requests`);
  await page.locator(rows).first().waitFor();
  await expect(page, "no address of a client").toSatisfy(() => [...document.querySelectorAll(".vbody [role=row]")].every((r) => r.textContent.includes("***") && !r.textContent.includes("127.0.0.1")));
  await page.getByRole("searchbox").fill("127.0.0.1");
  await expect(page.getByRole("heading", { name: "No logged request matches" }), "and none is found").toBeVisible();
});

test("says how to switch the log on", async ({ page }) => {
  await page.goto(`${setting("OFF_URL")}/requests`);
  await expect(page.getByRole("heading", { name: "No request is logged yet" })).toBeVisible();
  await expect(page.locator("main")).toContainText("proxy: {accessLogOptions: {kafka: true}}");
  await expect(page, "off").toBeAccessible({ all: true });
  await expect(page, "off").toFitNarrowScreen();
});
