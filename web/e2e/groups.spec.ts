// Consumer groups: the list, a group with members, and the group "shop", which has none. The topic "carts" has two
// partitions with ten records each; every test begins with "shop" at the beginning of both, without a threshold.
import { keys, picture } from "./actions";
import { expect, test } from "./console";

test.beforeEach(async ({ api }) => {
  await api.post("/groups/shop/reset", { to: "earliest", topics: [{ topic: "carts" }] });
  await api.put("/groups/shop/threshold", { lag: null });
});

test("lists the groups", async ({ page }) => {
  await page.goto("/");
  await page.locator("[data-instance]").first().waitFor();
  await keys(page, "g", "g");
  await page.locator('[data-id="shop"]').first().waitFor();
  await expect(page, "g g: the list").toHaveURL((u) => u.pathname === "/groups");
  await expect(page.locator('[data-id^="smartlb"]').first(), "the analyzer's group is stable").toContainText("Stable"); // once its members are together
  await expect(page.locator('[data-id="shop"]').first(), "shop is behind by all twenty").toContainText(/(^|\D)20(\D|$)/);
  await expect(page, "groups").toBeSteady();
  await expect(page, "groups").toBeAccessible();
  await expect(page, "groups").toFitNarrowScreen();
  await picture(page, "groups");
  await page.keyboard.press("/");
  await page.keyboard.type("carts");
  await expect(page.locator(".vbody .vrow"), "the filter looks at topics").toHaveCount(1);
  await expect(page, "and is in the address").toHaveURL((u) => u.searchParams.get("q") === "carts");
  await page.getByRole("link", { name: "shop" }).click();
  await page.locator("h1").first().waitFor();
  await expect(page.locator("section table tbody tr"), "its partitions are listed").toHaveCount(2);
  await expect(page, "group").toBeAccessible();
  await expect(page, "group").toFitNarrowScreen();
});

test("resets offsets after a preview", async ({ page }) => {
  await page.goto("/groups/shop");
  await page.getByRole("button", { name: "Reset offsets …" }).click();
  await page.getByLabel("To", { exact: true }).selectOption("shift");
  await page.getByLabel("Records, negative to go back").fill("4");
  await expect(page.getByRole("button", { name: "Reset", exact: true }), "nothing is done without a preview").toBeDisabled();
  await page.getByRole("button", { name: "Preview" }).click();
  await expect(page.locator(".preview tbody tr"), "the preview has a row for each partition").toHaveCount(2);
  expect((await page.locator(".preview tbody tr").first().innerText()).replace(/\s/g, ""), "it says from and to").toMatch(/04106$/);
  await expect(page, "reset").toBeAccessible();
  await expect(page, "reset").toFitNarrowScreen();
  await page.getByRole("button", { name: "Reset 2 partitions" }).click();
  await expect(page, "it is done").toSatisfy(() => !document.querySelector("dialog[open]") && /Lag\s*12/.test(document.querySelector(".facts")?.textContent ?? ""));
  await page.getByRole("button", { name: "Reset offsets …" }).click();
  await page.getByLabel("To", { exact: true }).selectOption("exact");
  await page.getByLabel("New offset of carts/1").fill("9");
  await page.getByRole("button", { name: "Preview" }).click();
  await page.getByRole("button", { name: "Reset 2 partitions" }).click();
  await expect(page, "single partitions: 6 and 1 are left").toSatisfy(() => !document.querySelector("dialog[open]") && /Lag\s*7/.test(document.querySelector(".facts")?.textContent ?? ""));
});

test("marks a group whose lag is above its threshold", async ({ page }) => {
  await page.goto("/groups/shop");
  await page.getByRole("button", { name: "Alarm threshold …" }).click();
  await page.getByLabel("Mark the group").fill("5");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.locator(".facts .tag.warn").first(), "above the threshold it is marked").toBeAttached();
  await picture(page, "group");
  await page.goto("/groups");
  await expect(page.getByRole("button", { name: "1 above threshold" }), "the list counts it").toBeVisible();
  await expect(page, "groups with one above its threshold").toFitNarrowScreen();
});

test("keeps what it showed while the connection is lost", async ({ page, network }) => {
  await page.goto("/groups/shop");
  await page.locator(".facts").waitFor();
  await network.cut();
  await expect(page, "cut off: the page says so and keeps what it had").toSatisfy(() => document.querySelector(".stale-note") && document.querySelector(".stale .facts"));
  await network.reconnect();
  await expect(page, "reconnected: it is live again by itself").toSatisfy(() => !document.querySelector(".stale-note") && !document.querySelector(".stale .facts") && document.querySelector(".facts"));
});

test("does not reset a group with members", async ({ page }) => {
  await page.goto("/groups");
  await page.locator('[data-id^="smartlb"] a').first().click();
  await expect(page.locator('section[aria-labelledby="members-h"] tbody tr').first(), "members are listed").toBeAttached();
  await expect(page, "a group with members is not reset").toSatisfy(() => [...document.querySelectorAll("button")].some((b) => b.textContent === "Reset offsets …" && b.disabled && /members/.test(b.title)));
});

test.describe("a group that is gone", () => {
  test.use({ allowedMessages: /\/groups\/shop/ }); // the node answers 404

test("deletes a group after its name is typed", async ({ page }) => {
  await page.goto("/groups/shop");
  await page.getByRole("button", { name: "Delete …" }).click();
  const go = page.getByRole("button", { name: "Delete", exact: true });
  await expect(go, "deleting wants the name").toBeDisabled();
  await page.getByLabel("Type shop to confirm").fill("shop");
  await go.click();
  await expect(page, "it is gone").toSatisfy(() => location.pathname === "/groups" && document.querySelector('[data-id^="smartlb"]') && !document.querySelector('[data-id="shop"]'));
  await page.goto("/groups/shop");
  await expect(page.locator(".failure").first(), "a group that is not there says so").toContainText("shop");
});
});
