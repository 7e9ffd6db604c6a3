// A read-only console without a proxy: nothing can be changed, in the page and
// in the server.
import { drive } from "./browser.mjs";

await drive(async ({ page, url, check, accessible, comes, soon, hold }) => {
  await page.goto(`${url}/topics/stock`);
  await page.waitForSelector('section[aria-labelledby="partitions-h"] tbody tr');
  await comes("the page says why", () => /This node is read-only/.test(document.querySelector("#manage-h")?.parentElement?.textContent ?? ""));
  for (const name of ["Clone …", "Add partitions …", "Delete records …", "Delete topic …"]) {
    await soon(`${name} is not offered`, () => page.getByRole("button", { name }).isDisabled());
  }
  await accessible("read-only topic");
  await page.goto(`${url}/topics/stock/settings`);
  await page.waitForSelector("table.settings tbody tr");
  await comes("settings are not edited", () => {
    const all = [...document.querySelectorAll(".setting-actions button")];
    return all.every((b) => b.disabled && b.title !== "") && all.some((b) => b.title === "This node is read-only");
  });
  const release = await hold(/\/api\/v1\/me$/);
  await page.goto(`${url}/topics`);
  await page.waitForSelector(".vbody [role=row]");
  check("nothing is offered before it is known who is there", await page.getByRole("button", { name: "Create topic" }).isDisabled());
  await release();
  await comes("it is known by now", () => document.querySelector("header.bar")?.textContent.includes("read-only"));
  await soon("nothing is created", () => page.getByRole("button", { name: "Create topic" }).isDisabled());
  const answers = await page.evaluate(async () => {
    const send = (method, path, body) => fetch(`/api/v1${path}`, { method, headers: { "Content-Type": "application/json" }, ...(body && { body: JSON.stringify(body) }) }).then((r) => r.status);
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
  check("the server refuses each change, and answers previews", JSON.stringify(answers) === "[403,403,403,403,403,403,200]", JSON.stringify(answers));
}, { expected: (m) => m.text().includes("403") || m.location().url.includes("overview") }); // refused on purpose; there is no proxy to ask
