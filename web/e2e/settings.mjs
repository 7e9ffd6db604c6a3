// The settings of the topic stock in a demo.
//
//   node e2e/settings.mjs http://127.0.0.1:8083 [FOLDER for screenshots]
import { drive } from "./browser.mjs";

const says = ([name, text]) => [...document.querySelectorAll("table.settings tr")].find((r) => r.querySelector("th")?.firstChild?.textContent === name)?.textContent.includes(text) ?? false;

await drive(async ({ page, url, check, accessible, steady, fits, comes, hold, picture }) => {
  const dialog = page.locator("dialog[open]");
  const review = page.getByRole("button", { name: /^Review/ });
  await page.goto(`${url}/topics/stock/settings`);
  await page.waitForSelector("table.settings tbody tr");
  await steady("settings");
  await accessible("settings");
  await fits("settings");
  await comes("settings: value, source and default in units", says, ["segment.ms", "7 dKafka's default7 d"]);
  await page.keyboard.press("/");
  await page.keyboard.type("retention");
  await comes("settings: the filter", () => [...document.querySelectorAll("table.settings tbody th")].every((h) => h.textContent.includes("retention")));

  // What is no value
  await page.getByRole("button", { name: "Edit retention.ms" }).click();
  await page.getByLabel("retention.ms", { exact: true }).fill("soon");
  await comes("edit: what is no number is said while it is typed", () => /no whole number/.test(document.querySelector(".problem-text")?.textContent ?? ""));
  check("edit: and cannot be saved", await review.isDisabled());
  await accessible("a refused value");

  // A value that loses something
  await page.getByLabel("retention.ms", { exact: true }).fill("1");
  await page.getByLabel("Unit of retention.ms").selectOption("h");
  await comes("edit: what would be lost is said", says, ["retention.ms", "records older than 1 h are deleted"]);
  await page.getByRole("searchbox").fill("");
  await page.getByRole("button", { name: "Edit cleanup.policy" }).click();
  await page.getByRole("checkbox", { name: "compact" }).check();
  await page.getByRole("button", { name: "Edit segment.bytes" }).click();
  await page.getByLabel("segment.bytes", { exact: true }).fill("64");
  await page.getByLabel("Unit of segment.bytes").selectOption("MiB");
  await page.getByRole("button", { name: "Undo the change of cleanup.policy" }).click();
  await comes("edit: two changes", () => [...document.querySelectorAll("button")].some((b) => b.textContent === "Review 2 changes" && !b.disabled));
  await picture("settings");
  const release = await hold(/\/settings\?dryRun=true/);
  await review.click();
  await comes("review: nothing can be saved before it is known what is lost", () => document.querySelector("dialog[open] button[type=submit]")?.disabled);
  await release();
  await comes("review: old and new", () => {
    const text = document.querySelector("dialog .diff")?.textContent ?? "";
    return /retention\.ms− 7 d.*\+ 1 h/s.test(text) && /segment\.bytes− (?:16 MiB|100 MiB|1 GiB).*\+ 64 MiB/s.test(text);
  });
  await accessible("review");
  const save = dialog.getByRole("button", { name: "Save", exact: true });
  check("review: what loses records wants the name", await save.isDisabled());
  await page.getByLabel(/^Type/).fill("stock");
  await save.click();
  await comes("saved: and read back", () => /2 settings saved and read back/.test(document.querySelector(".switches")?.textContent ?? ""));
  await comes("saved: the new value is this topic's", says, ["retention.ms", "1 hthis topic"]);
  await page.reload();
  await comes("saved: also after a reload", says, ["segment.bytes", "64 MiBthis topic"]);
  await page.getByLabel("Only what this topic sets").check();
  await comes("only what is set: two", () => document.querySelectorAll("table.settings tbody tr").length === 2);
  await comes("only what is set: in the address", () => new URL(location.href).searchParams.get("own") === "1");

  // Markup in a value is only text
  await page.getByLabel("Only what this topic sets").uncheck();
  const hostile = "<img src=x onerror=alert(1)>";
  const stored = await page.evaluate(
    (v) => fetch("/api/v1/topics/stock/settings?dryRun=true", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ set: { "leader.replication.throttled.replicas": v } }) }).then((r) => r.text()),
    hostile,
  );
  check("hostile: told as text by the server", stored.includes("onerror") && !stored.includes("<img"), stored);
  await page.getByLabel("Only what this topic sets").check();

  // Back to the default, and unlimited
  await page.getByRole("button", { name: "Reset segment.bytes to its default" }).click();
  await page.getByRole("button", { name: "Edit retention.ms" }).click();
  await page.getByLabel("Unit of retention.ms").selectOption("unlimited");
  await comes("reset: two changes", () => [...document.querySelectorAll("button")].some((b) => b.textContent === "Review 2 changes" && !b.disabled));
  await review.click();
  await comes("reset: the default is told", () => /segment\.bytes− 64 MiB.*\+ (?:16 MiB|100 MiB|1 GiB) \(default\)/s.test(document.querySelector("dialog .diff")?.textContent ?? ""));
  await comes("unlimited: is said", () => /retention\.ms− 1 h.*\+ unlimited/s.test(document.querySelector("dialog .diff")?.textContent ?? ""));
  await save.click();
  await comes("reset: it is not this topic's any more", () => document.querySelectorAll("table.settings tbody tr").length === 1);
  await comes("unlimited: is read back", says, ["retention.ms", "unlimitedthis topic"]);

  // What is changed is in the audit log, with before and after
  await comes(
    "audit: before and after",
    async () => {
      const r = await fetch("/api/v1/topics/audit-logs").catch(() => null);
      return r?.ok && (await r.json()).partitions[0].end > 2;
    },
  );
}, { expected: (m) => m.location().url.includes("dryRun") });
