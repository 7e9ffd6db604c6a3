// A read-only console without a proxy: neither the page nor the server lets a user change anything.
import { hold } from "./actions";
import { expect, test } from "./console";

test.use({ allowedMessages: /403|overview/ }); // refused calls, and there is no proxy to ask

test("offers no change of a topic", async ({ page }) => {
  await page.goto("/topics/stock");
  await page.locator('section[aria-labelledby="partitions-h"] tbody tr').first().waitFor();
  await expect(page, "the page says why").toSatisfy(() => /This node is read-only/.test(document.querySelector("#manage-h")?.parentElement?.textContent ?? ""));
  for (const name of ["Clone …", "Add partitions …", "Delete records …", "Delete topic …"]) {
    await expect(page.getByRole("button", { name }), `${name} is not offered`).toBeDisabled();
  }
  await expect(page, "read-only topic").toBeAccessible();
});

test("offers no change of settings", async ({ page }) => {
  await page.goto("/topics/stock/settings");
  await page.locator("table.settings tbody tr").first().waitFor();
  await expect(page, "settings are not edited").toSatisfy(() => {
    const all = [...document.querySelectorAll<HTMLButtonElement>(".setting-actions button")];
    return all.every((b) => b.disabled && b.title !== "") && all.some((b) => b.title === "This node is read-only");
  });
});

test("offers nothing before the user is known", async ({ page }) => {
  const release = await hold(page, /\/api\/v1\/me$/);
  await page.goto("/topics");
  await page.locator(".vbody [role=row]").first().waitFor();
  await expect(page.getByRole("button", { name: "Create topic" }), "nothing is offered before it is known who is there").toBeDisabled();
  await release();
  await expect(page.locator("header.bar").first(), "it is known by now").toContainText("read-only");
  await expect(page.getByRole("button", { name: "Create topic" }), "nothing is created").toBeDisabled();
});

test("is refused changes by the server, and gets previews", async ({ page }) => {
  await page.goto("/topics");
  const answers = await page.evaluate(async () => {
    const send = (method: string, path: string, body?: object) => fetch(`/api/v1${path}`, { method, headers: { "Content-Type": "application/json" }, ...(body && { body: JSON.stringify(body) }) }).then((r) => r.status);
    return Promise.all([
      send("DELETE", "/topics/stock"),
      send("POST", "/topics", { name: "x" }),
      send("POST", "/topics/stock/settings", { set: { "retention.ms": "1" } }),
      send("POST", "/topics/stock/truncate", { before: "end" }),
      send("POST", "/topics/stock/partitions", { partitions: 9 }),
      send("POST", "/catalog/apply", {}),
      send("POST", "/topics/stock/truncate?dryRun=true", { before: "end" }),
    ]);
  });
  expect(answers, "the server refuses each change, and answers previews").toEqual([403, 403, 403, 403, 403, 403, 200]);
});
