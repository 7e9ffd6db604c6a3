// The settings of the topic "stock". Every test begins with the defaults of the broker.
import { hold, picture } from "./actions";
import { expect, test } from "./console";

test.use({ allowedMessages: /dryRun/ }); // values that the broker refuses

/** Whether the row of a setting contains a text. */
const says = ([name, text]: [string, string]) => [...document.querySelectorAll("table.settings tr")].find((r) => r.querySelector("th")?.firstChild?.textContent === name)?.textContent.includes(text) ?? false;

const address = "/topics/stock/settings";

test.beforeEach(async ({ page, api }) => {
  await api.post(address, { unset: ["retention.ms", "segment.bytes"] });
  await page.goto(address);
  await page.locator("table.settings tbody tr").first().waitFor();
});

test("lists values with source and default", async ({ page }) => {
  await expect(page, "settings").toBeSteady();
  await expect(page, "settings").toBeAccessible();
  await expect(page, "settings").toFitNarrowScreen();
  await expect(page, "settings: value, source and default in units").toSatisfy(says, ["segment.ms", "7 dKafka's default7 d"]);
  await page.keyboard.press("/");
  await page.keyboard.type("retention");
  await expect(page, "settings: the filter").toSatisfy(() => [...document.querySelectorAll("table.settings tbody th")].every((h) => h.textContent.includes("retention")));
});

test("refuses a value that is no number", async ({ page }) => {
  await page.getByRole("button", { name: "Edit retention.ms" }).click();
  await page.getByLabel("retention.ms", { exact: true }).fill("soon");
  await expect(page.locator(".problem-text").first(), "edit: what is no number is said while it is typed").toContainText(/no whole number/);
  await expect(page.getByRole("button", { name: /^Review/ }), "edit: and cannot be saved").toBeDisabled();
  await expect(page, "a refused value").toBeAccessible();
});

test("saves changes after a review, and resets them", async ({ page }) => {
  const dialog = page.locator("dialog[open]");
  const review = page.getByRole("button", { name: /^Review/ });
  await page.getByRole("button", { name: "Edit retention.ms" }).click();
  await page.getByLabel("retention.ms", { exact: true }).fill("1");
  await page.getByLabel("Unit of retention.ms").selectOption("h");
  await expect(page, "edit: what would be lost is said").toSatisfy(says, ["retention.ms", "records older than 1 h are deleted"]);
  await page.getByRole("button", { name: "Edit cleanup.policy" }).click();
  await page.getByRole("checkbox", { name: "compact" }).check();
  await page.getByRole("button", { name: "Edit segment.bytes" }).click();
  await page.getByLabel("segment.bytes", { exact: true }).fill("64");
  await page.getByLabel("Unit of segment.bytes").selectOption("MiB");
  await page.getByRole("button", { name: "Undo the change of cleanup.policy" }).click();
  await expect(page, "edit: two changes").toSatisfy(() => [...document.querySelectorAll("button")].some((b) => b.textContent === "Review 2 changes" && !b.disabled));
  await picture(page, "settings");
  const release = await hold(page, /\/settings\?dryRun=true/);
  await review.click();
  await expect(page, "review: nothing can be saved before it is known what is lost").toSatisfy(() => document.querySelector<HTMLButtonElement>("dialog[open] button[type=submit]")?.disabled);
  await release();
  await expect(page, "review: old and new").toSatisfy(() => {
    const text = document.querySelector("dialog .diff")?.textContent ?? "";
    return /retention\.ms− 7 d.*\+ 1 h/s.test(text) && /segment\.bytes− (?:16 MiB|100 MiB|1 GiB).*\+ 64 MiB/s.test(text);
  });
  await expect(page, "review").toBeAccessible();
  const save = dialog.getByRole("button", { name: "Save", exact: true });
  await expect(save, "review: what loses records wants the name").toBeDisabled();
  await page.getByLabel(/^Type/).fill("stock");
  await save.click();
  await expect(page.locator(".switches").first(), "saved: and read back").toContainText(/2 settings saved and read back/);
  await expect(page, "saved: the new value is this topic's").toSatisfy(says, ["retention.ms", "1 hthis topic"]);
  await page.reload();
  await expect(page, "saved: also after a reload").toSatisfy(says, ["segment.bytes", "64 MiBthis topic"]);
  await page.getByLabel("Only what this topic sets").check();
  await expect(page.locator("table.settings tbody tr"), "only what is set: two").toHaveCount(2);
  await expect(page, "only what is set: in the address").toHaveURL((u) => u.searchParams.get("own") === "1");

  // Back to the default, and unlimited
  await page.getByRole("button", { name: "Reset segment.bytes to its default" }).click();
  await page.getByRole("button", { name: "Edit retention.ms" }).click();
  await page.getByLabel("Unit of retention.ms").selectOption("unlimited");
  await expect(page, "reset: two changes").toSatisfy(() => [...document.querySelectorAll("button")].some((b) => b.textContent === "Review 2 changes" && !b.disabled));
  await review.click();
  await expect(page.locator("dialog .diff").first(), "reset: the default is told").toContainText(/segment\.bytes− 64 MiB.*\+ (?:16 MiB|100 MiB|1 GiB) \(default\)/s);
  await expect(page.locator("dialog .diff").first(), "unlimited: is said").toContainText(/retention\.ms− 1 h.*\+ unlimited/s);
  await save.click();
  await expect(page.locator("table.settings tbody tr"), "reset: it is not this topic's any more").toHaveCount(1);
  await expect(page, "unlimited: is read back").toSatisfy(says, ["retention.ms", "unlimitedthis topic"]);
});

test("shows markup in a value as text", async ({ page }) => {
  const hostile = "<img src=x onerror=alert(1)>";
  const stored = await page.evaluate(
    (v) => fetch("/api/v1/topics/stock/settings?dryRun=true", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ set: { "leader.replication.throttled.replicas": v } }) }).then((r) => r.text()),
    hostile,
  );
  expect(stored, "hostile: told as text by the server").toContain("onerror");
  expect(stored, "hostile: told as text by the server").not.toContain("<img");
});

test("records changes in the audit log", async ({ api }) => {
  const end = async () => (await api.get("/topics/audit-logs")).partitions[0].end as number;
  const before = await end();
  await api.post(address, { set: { "retention.ms": "3600000" } });
  await expect.poll(end, "audit: the change is recorded").toBeGreaterThan(before);
});
