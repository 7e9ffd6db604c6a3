// The configuration in the console of a running demo: the current revision, an edit with its mistakes and its preview,
// two revisions side by side, the rollback, and another user who publishes first.
import { editor, hold, picture } from "./actions";
import { type Api, expect, test } from "./console";

const yaml = "Routes and services, YAML";
const hostile = '<img src=x onerror="alert(1)"> & \u202egnp';

/** Publishes a revision that differs from the current one in one line. */
async function twoRevisions(api: Api, comment: string) {
  const first = await api.get("/config");
  const [was, is] = first.document.includes("policy: adaptive") ? ["adaptive", "least_request"] : ["least_request", "adaptive"];
  await api.post("/config/revisions", { document: first.document.replace(`policy: ${was}`, `policy: ${is}`), base: first.revision, comment });
  return { first, second: await api.get("/config") };
}

test("shows the current revision and who applied it", async ({ page, api }) => {
  await page.goto("/configuration");
  await page.locator(".document").first().waitFor();
  const first = await api.get("/config");
  await expect(page.locator(".nodes").first(), "current: the node applied it").toContainText(`applied ${first.revision}`);
  await expect(page, "current").toBeSteady();
  await expect(page, "current").toBeAccessible({ all: true });
  await expect(page, "current").toFitNarrowScreen();
  await picture(page, "configuration");
});

test("takes an override back", async ({ page, api }) => {
  await page.goto("/configuration");
  await page.locator(".document").first().waitFor();
  await api.post("/services/order-service/instances/order-service-4/override", { action: "drain" });
  await expect(page.locator('section[aria-labelledby="overrides"]').first(), "overrides: the drain is among them").toContainText(/drain\s*order-service-4/);
  await page.getByRole("button", { name: "Undrain" }).click();
  await expect(page, "overrides: it is taken back").toSatisfy(() => !document.querySelector('section[aria-labelledby="overrides"]')?.textContent.includes("order-service-4"));
});

test("keeps what is typed before the editor is loaded", async ({ page, api }) => {
  const first = await api.get("/config");
  await page.goto("/configuration");
  const release = await hold(page, /\/assets\/codemirror-/);
  await page.getByRole("link", { name: "Edit", exact: true }).click();
  await page.locator("textarea").focus();
  await page.keyboard.press("ControlOrMeta+Home");
  await page.keyboard.type("# typed early");
  await page.keyboard.press("Enter");
  await release();
  await editor(page, yaml).field.waitFor();
  await expect(editor(page, yaml).field, "edit: the editor takes over the focus").toBeFocused();
  await page.keyboard.type("# typed late\n");
  expect(await editor(page, yaml).text(), "edit: and the text with the cursor").toBe(`# typed early\n# typed late\n${first.document}`);
  await page.getByRole("button", { name: "Discard", exact: true }).click();
  await expect(page.locator(".mistakes").first(), "edit: the document is valid").toContainText(/is valid/);
});

test("names every mistake and previews what changes", async ({ page, api }) => {
  const first = await api.get("/config");
  await page.goto("/configuration/edit");
  await expect(page.locator(".mistakes").first(), "edit: the document is valid").toContainText(/is valid/);
  await editor(page, yaml).write(first.document.replace("policy: adaptive", "policy: magic").replace("prefix: /orders", "prefix: orders"));
  await expect(page, "edit: both mistakes with line and path").toSatisfy(() => document.querySelectorAll(".mistakes li button").length === 2 && /services\[\d\]\.policy/.test(document.querySelector(".mistakes")?.textContent ?? ""));
  await expect(page.getByRole("button", { name: "Publish" }), "edit: what is wrong cannot be published").toBeDisabled();
  await expect(page, "edit with mistakes").toBeAccessible({ all: true });
  await expect(page, "edit").toFitNarrowScreen();
  await expect(page.locator(".cm-lint-marker-error").first(), "edit: each mistake has a mark at its line").toBeAttached();
  await page.locator(".mistakes button").first().click();
  expect(await editor(page, yaml).selected(), "edit: a mistake leads to its line").toMatch(/magic|orders/);
  await expect(page.locator(".cm-activeLine .cm-lintRange-error"), "edit: its line is marked").toHaveCount(1);
  await page.keyboard.press("Tab");
  await expect(editor(page, yaml).field, "edit: Tab stays in the editor").toBeFocused();
  await page.keyboard.press("ControlOrMeta+z");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Tab");
  await expect(editor(page, yaml).field, "edit: Escape, then Tab, leaves it").not.toBeFocused();
  await editor(page, yaml).field.focus();
  await page.keyboard.press("ControlOrMeta+f");
  await page.keyboard.type("policy");
  await expect(page, "edit: find").toSatisfy(() => document.querySelectorAll(".cm-searchMatch").length > 0);
  await expect(page, "edit, find").toBeAccessible({ all: true });
  await page.keyboard.press("Escape");
  await expect(page.locator(".cm-search"), "edit: Escape closes it").toHaveCount(0);
  await editor(page, yaml).write(first.document.replace("policy: adaptive", "policy: least_request"));
  expect(await editor(page, yaml).text(), "edit: the text is as it was written").toBe(first.document.replace("policy: adaptive", "policy: least_request"));
  await expect(page, "edit: the preview shows what it changes").toSatisfy(() => document.querySelectorAll(".diff tr.added").length === 1 && document.querySelectorAll(".diff tr.removed").length === 1);
  await page.getByLabel("Comment").fill(hostile);
  await picture(page, "configuration-edit");
  await page.getByRole("button", { name: "Publish" }).click();
  await expect(page.locator(".outcome").first(), "edit: it is published").toContainText(/is published/);
  const second = await api.get("/config");
  expect(second.revision, "and current").not.toBe(first.revision);
  expect(second.document, "and current").toContain("least_request");
  await page.getByRole("link", { name: "Current", exact: true }).click();
  await expect(page.locator(".nodes").first(), "every node applied it").toContainText(`applied ${second.revision}`);
});

test("compares revisions and rolls back", async ({ page, api }) => {
  const { first, second } = await twoRevisions(api, hostile);
  await page.goto("/configuration");
  await page.getByRole("link", { name: "History", exact: true }).click();
  await expect(page, "history: the comment is text").toSatisfy((h: string) => document.querySelector(".vbody")?.textContent.includes(h) && document.querySelector(".vbody img") === null, hostile);
  await page.locator(`[role=row]:has-text("${first.revision}")`).first().getByRole("button", { name: "Compare" }).click();
  await expect(page.locator(".diff tr.added"), "compare: what differs").toHaveCount(1);
  await expect(page, "history").toBeAccessible({ all: true });
  await page.getByRole("button", { name: "Side by side" }).click();
  await expect(page, "side by side: two columns").toSatisfy(() => document.querySelectorAll(".diff.split td.added").length === 1 && document.querySelectorAll(".diff.split td.removed").length === 1);
  await expect(page, "the comparison is in the address").toSatisfy((r: string) => location.search.includes(`from=${r}`) && location.search.includes("view=split"), first.revision);
  await picture(page, "configuration-history");
  await expect(page, "history").toFitNarrowScreen();
  await page.locator(`[role=row]:has-text("${first.revision}")`).first().getByRole("button", { name: "Roll back" }).click();
  await expect(page.locator("dialog .diff tr.added"), "rollback: the preview").toHaveCount(1);
  const go = page.locator("dialog").getByRole("button", { name: "Roll back" });
  await expect(go, "rollback: the name is asked").toBeDisabled();
  await expect(page, "rollback").toBeAccessible({ all: true });
  await page.getByLabel(/Type/).fill(first.revision);
  await go.click();
  await expect(page.locator("dialog[open]"), "rollback: done").toHaveCount(0);
  const third = await api.get("/config");
  expect(third.document, "rollback: the first document is current, as a new revision").toBe(first.document);
  expect([first.revision, second.revision], "rollback: the first document is current, as a new revision").not.toContain(third.revision);
});

test("does not publish over a revision that another user published", async ({ page, api }) => {
  const third = await api.get("/config");
  await page.goto("/configuration");
  await page.getByRole("link", { name: "Edit", exact: true }).click();
  await expect(page.locator(".mistakes").first(), "edit again").toContainText(/is valid/);
  await editor(page, yaml).write(`${third.document}# mine\n`);
  await api.post("/config/revisions", { document: `${third.document}# theirs\n`, base: third.revision, comment: "" });
  await expect(page.locator("[role=alert]").first(), "another user was first: the page says so").toContainText(/the current revision is/);
  await expect(page.getByRole("button", { name: "Publish" }), "and does not publish over it").toBeDisabled();
  expect(await editor(page, yaml).text(), "my text is still there").toMatch(/# mine\n$/);
  await page.getByRole("button", { name: "Discard my draft" }).click();
  await expect.poll(() => editor(page, yaml).text(), "discarded: what is current is there").toMatch(/# theirs\n$/);
  const { revision: fourth } = await api.get("/config");
  await api.post("/config/revisions", { document: `${third.document}# theirs again\n`, base: fourth, comment: "" });
  await expect.poll(() => editor(page, yaml).text(), "an editor without changes follows the current revision").toMatch(/# theirs again\n$/);
  await expect(page.locator("[role=alert]"), "and nothing is said about another revision").toHaveCount(0);
});
