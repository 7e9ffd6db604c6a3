// The configuration in the console of a running demo: what is current and who
// applied it, an edit with its mistakes and its preview, two revisions side by
// side, the way back, and somebody else who was first.
//
//   node e2e/configuration.mjs http://127.0.0.1:8083 [FOLDER for screenshots]
import { drive } from "./browser.mjs";

const hostile = '<img src=x onerror="alert(1)"> & \u202egnp';

await drive(async ({ page, url, check, accessible, fits, comes, soon, editor, write, selected, written, hold, picture, steady }) => {
  const call = (method, path, body) =>
    page.evaluate(([method, path, body]) => fetch(`/api/v1${path}`, { method, headers: { "Content-Type": "application/json" }, body: body && JSON.stringify(body) }).then((r) => r.json()), [method, path, body]);
  await page.goto(`${url}/configuration`);
  await page.waitForSelector(".document");
  const first = await call("GET", "/config");
  await comes("current: the node applied it", (r) => document.querySelector(".nodes")?.textContent.includes(`applied ${r}`), first.revision);
  await steady("current");
  await accessible("current", true);
  await fits("current");
  await picture("configuration");

  // Overrides
  await call("POST", "/services/order-service/instances/order-service-4/override", { action: "drain" });
  await comes("overrides: the drain is among them", () => /drain\s*order-service-4/.test(document.querySelector('section[aria-labelledby="overrides"]')?.textContent ?? ""));
  await page.getByRole("button", { name: "Undrain" }).click();
  await comes("overrides: it is taken back", () => !document.querySelector('section[aria-labelledby="overrides"]')?.textContent.includes("order-service-4"));

  // Edit: first in a textarea, because the editor's code is late
  const yaml = "Routes and services, YAML";
  const release = await hold(/\/assets\/codemirror-/);
  await page.getByRole("link", { name: "Edit", exact: true }).click();
  await page.locator("textarea").focus();
  await page.keyboard.press("ControlOrMeta+Home");
  await page.keyboard.type("# typed early");
  await page.keyboard.press("Enter");
  await release();
  await editor(yaml).waitFor();
  check("edit: the editor takes over the focus", await editor(yaml).evaluate((e) => e === document.activeElement));
  await page.keyboard.type("# typed late\n");
  check("edit: and the text with the cursor", (await written(yaml)) === `# typed early\n# typed late\n${first.document}`, (await written(yaml)).slice(0, 100));
  await page.getByRole("button", { name: "Discard", exact: true }).click();
  await comes("edit: the document is valid", () => /is valid/.test(document.querySelector(".mistakes")?.textContent ?? ""));
  await write(yaml, first.document.replace("policy: adaptive", "policy: magic").replace("prefix: /orders", "prefix: orders"));
  await comes("edit: both mistakes with line and path", () => document.querySelectorAll(".mistakes li button").length === 2 && /services\[\d\]\.policy/.test(document.querySelector(".mistakes").textContent));
  check("edit: what is wrong cannot be published", await page.getByRole("button", { name: "Publish" }).isDisabled());
  await accessible("edit with mistakes", true);
  await fits("edit");
  await soon("edit: each mistake has a mark at its line", async () => (await page.locator(".cm-lint-marker-error").count()) > 0);
  await page.locator(".mistakes button").first().click();
  check("edit: a mistake leads to its line", /magic|orders/.test(await selected(yaml)), await selected(yaml));
  check("edit: its line is marked", (await page.locator(".cm-activeLine .cm-lintRange-error").count()) === 1);
  await page.keyboard.press("Tab");
  check("edit: Tab stays in the editor", await editor(yaml).evaluate((e) => e === document.activeElement));
  await page.keyboard.press("ControlOrMeta+z");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Tab");
  check("edit: Escape, then Tab, leaves it", await editor(yaml).evaluate((e) => e !== document.activeElement));
  await editor(yaml).focus();
  await page.keyboard.press("ControlOrMeta+f");
  await page.keyboard.type("policy");
  await comes("edit: find", () => document.querySelectorAll(".cm-searchMatch").length > 0);
  await accessible("edit, find", true);
  await page.keyboard.press("Escape");
  await comes("edit: Escape closes it", () => !document.querySelector(".cm-search"));
  await write(yaml, first.document.replace("policy: adaptive", "policy: least_request"));
  check("edit: the text is as it was written", (await written(yaml)) === first.document.replace("policy: adaptive", "policy: least_request"));
  await comes("edit: the preview shows what it changes", () => document.querySelectorAll(".diff tr.added").length === 1 && document.querySelectorAll(".diff tr.removed").length === 1);
  await page.getByLabel("Comment").fill(hostile);
  await picture("configuration-edit");
  await page.getByRole("button", { name: "Publish" }).click();
  await comes("edit: it is published", () => /is published/.test(document.querySelector(".outcome")?.textContent ?? ""));
  const second = await call("GET", "/config");
  check("and current", second.revision !== first.revision && second.document.includes("least_request"), second.revision);
  await page.getByRole("link", { name: "Current", exact: true }).click();
  await comes("every node applied it", (r) => document.querySelector(".nodes")?.textContent.includes(`applied ${r}`), second.revision);

  // History
  await page.getByRole("link", { name: "History", exact: true }).click();
  await comes("history: the comment is text", (h) => document.querySelector(".vbody")?.textContent.includes(h) && document.querySelector(".vbody img") === null, hostile);
  await page.locator(`[role=row]:has-text("${first.revision}")`).first().getByRole("button", { name: "Compare" }).click();
  await comes("compare: what differs", () => document.querySelectorAll(".diff tr.added").length === 1);
  await accessible("history", true);
  await page.getByRole("button", { name: "Side by side" }).click();
  await comes("side by side: two columns", () => document.querySelectorAll(".diff.split td.added").length === 1 && document.querySelectorAll(".diff.split td.removed").length === 1);
  await comes("the comparison is in the address", (r) => location.search.includes(`from=${r}`) && location.search.includes("view=split"), first.revision);
  await picture("configuration-history");
  await fits("history");
  await page.locator(`[role=row]:has-text("${first.revision}")`).first().getByRole("button", { name: "Roll back" }).click();
  await comes("rollback: the preview", () => document.querySelectorAll("dialog .diff tr.added").length === 1);
  const go = page.locator("dialog").getByRole("button", { name: "Roll back" });
  check("rollback: the name is asked", await go.isDisabled());
  await accessible("rollback", true);
  await page.getByLabel(/Type/).fill(first.revision);
  await go.click();
  await comes("rollback: done", () => document.querySelector("dialog[open]") === null);
  const third = await call("GET", "/config");
  check("rollback: the first document is current, as a new revision", third.document === first.document && third.revision !== first.revision);

  // Somebody else is first
  await page.getByRole("link", { name: "Edit", exact: true }).click();
  await comes("edit again", () => /is valid/.test(document.querySelector(".mistakes")?.textContent ?? ""));
  await write(yaml, `${third.document}# mine\n`);
  await call("POST", "/config/revisions", { document: `${third.document}# theirs\n`, base: third.revision, comment: "" });
  await comes("somebody was first: the page says so", () => /the current revision is/.test(document.querySelector("[role=alert]")?.textContent ?? ""));
  check("and does not publish over it", await page.getByRole("button", { name: "Publish" }).isDisabled());
  check("my text is still there", (await written(yaml)).endsWith("# mine\n"));
  await page.getByRole("button", { name: "Discard my draft" }).click();
  await soon("discarded: what is current is there", async () => (await written(yaml)).endsWith("# theirs\n"));
  const { revision: fourth } = await call("GET", "/config");
  await call("POST", "/config/revisions", { document: `${third.document}# theirs again\n`, base: fourth, comment: "" });
  await soon("an editor that nobody has written in follows what is current", async () => (await written(yaml)).endsWith("# theirs again\n"));
  check("and nothing is said about another revision", (await page.locator("[role=alert]").count()) === 0);
});
