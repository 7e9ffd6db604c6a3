// Messages: the live stream, searches, one message with all about it, hostile
// ones, sending and sending back. The topic "hostile" is made by the Go test
// that runs this.
//
//   node e2e/messages.mjs http://127.0.0.1:8083 [FOLDER for screenshots]
import { readFile } from "node:fs/promises";
import { drive } from "./browser.mjs";

const rows = () => [...document.querySelectorAll(".message")].map((e) => e.textContent);

await drive(async ({ page, context, url, check, accessible, steady, fits, comes, keys, write, hold, picture, cut, reconnect, settled }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  /** What a button copies: the page does that after the press. */
  const copied = async (button) => {
    await page.evaluate(() => navigator.clipboard.writeText(""));
    await page.getByRole("button", { name: button }).click();
    await page.waitForFunction(async () => (await navigator.clipboard.readText()) !== "", undefined, { polling: 100 });
    return page.evaluate(() => navigator.clipboard.readText());
  };
  const at = (path) => page.goto(`${url}/topics/${path}`);
  const query = () => page.evaluate(() => [...new URL(location.href).searchParams].sort().join("&"));
  const inAddress = (what, name, value) => comes(what, ([name, value]) => new URL(location.href).searchParams.get(name) === value, [name, value]);
  const reader = () => page.locator(".reader").textContent();

  // Live
  await at("service-metrics/messages");
  await page.waitForSelector(".message");
  const newest = () => page.locator(".message").first().textContent();
  let top = await newest();
  await comes("live: messages come by themselves", (was) => document.querySelector(".message")?.textContent !== was, top);
  await steady("live");
  await accessible("live", true);
  await fits("live");
  await picture("messages-live");
  await page.keyboard.press("p");
  await comes("p pauses: new messages wait", () => /paused, [1-9]/.test(document.querySelector(".tail-status")?.textContent ?? ""));
  top = await newest();
  check("the bar can be used while it is paused", await page.getByRole("button", { name: "Filter", exact: true }).isEnabled());
  await page.getByRole("button", { name: "Resume" }).click();
  await comes("resume: they are shown", (was) => document.querySelector(".message")?.textContent !== was, top);
  await page.keyboard.press("/");
  await page.keyboard.type("order-service");
  await page.keyboard.press("Enter");
  await comes("live: the filter is the server's", () => {
    const keys = [...document.querySelectorAll(".m-key")].map((e) => e.textContent);
    return keys.length > 2 && keys.every((k) => k === "order-service");
  });
  await inAddress("and is in the address", "text", "order-service");
  check("the cursor stays in the filter", await page.evaluate(() => document.activeElement?.matches("input[type=search]")));

  // Search: it looks once, so what it is to find has to be there
  await comes(
    "there are some hundreds of messages",
    () =>
      fetch("/api/v1/topics/service-metrics").then(
        async (r) => r.ok && (await r.json()).partitions.reduce((n, p) => n + p.end - p.start, 0) >= 300,
        () => false,
      ),
  );
  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByLabel("Where to begin").focus();
  await page.getByLabel("Where to begin").selectOption("newest");
  await comes("newest first: a hundred, and how it ended", () => /^100 found/.test(document.querySelector(".search-note")?.textContent ?? "") && document.querySelector(".search-note").textContent.includes("The limit of matches was reached"));
  await inAddress("the address says so", "from", "newest");
  check("and the choice keeps the focus", await page.getByLabel("Where to begin").evaluate((e) => e === document.activeElement));
  await page.getByRole("button", { name: "Continue" }).click();
  await comes("go on: more of them", () => Number.parseInt(document.querySelector(".search-note")?.textContent ?? "") > 100);
  await page.getByRole("button", { name: "More filters" }).click();
  await page.getByLabel("CEL").fill("value.metrics.rps >");
  await comes("a mistake is shown with its place", () => /character \d+/.test(document.querySelector(".term-where .mistake")?.textContent ?? ""));
  check("and is not sent", await page.getByRole("button", { name: "Search", exact: true }).isDisabled());
  await accessible("a mistake", true);
  await page.getByLabel("CEL").fill('value.metrics.rps > 0 && key.startsWith("user")');
  await page.getByRole("button", { name: "Search", exact: true }).click();
  await comes("CEL: only what it is true of", () => {
    const keys = [...document.querySelectorAll(".m-key")].map((e) => e.textContent);
    return keys.length > 5 && keys.every((k) => k === "user-service");
  });
  const release = await hold(/\/search\?/);
  await page.getByRole("button", { name: "Search", exact: true }).click();
  await page.getByRole("button", { name: "Stop" }).waitFor();
  await page.getByLabel("JSON").fill('instanceId == user-service-2');
  await page.keyboard.press("Enter");
  await inAddress("Enter begins anew while a search runs", "json", "instanceId == user-service-2");
  await release();
  await comes("JSON: and what is there", () => document.querySelectorAll(".message").length > 0 && [...document.querySelectorAll(".m-value")].every((e) => e.textContent.includes("user-service-2")));
  await comes("examples are of this topic", () => [...document.querySelectorAll(".examples .example")].some((e) => e.textContent.startsWith("value.metrics.")));
  await accessible("search", true);
  await fits("search");
  await picture("messages-search");
  const address = await query();
  await page.getByRole("button", { name: "Saved" }).click();
  await page.getByLabel("Save this search as").fill("users, second");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("button", { name: "Close" }).click();
  await at("alerts/messages");
  await page.getByRole("button", { name: "Saved" }).click();
  await accessible("saved searches", true);
  await page.getByRole("link", { name: "users, second" }).click();
  await comes("a saved search is run again", () => document.querySelectorAll(".message").length > 0 && [...document.querySelectorAll(".m-value")].every((e) => e.textContent.includes("user-service-2")));
  await comes("at its address", (was) => [...new URL(location.href).searchParams].sort().join("&") === was, address);

  // One message
  await page.locator(".message").nth(1).click();
  await page.waitForSelector(".reader .j-key");
  await comes("message: its fields as a tree", () => [...document.querySelectorAll(".reader .j-key")].some((k) => k.textContent === '"metrics"'));
  await comes("message: its batch and its schema", () => /\d messages? in [\d.]+ (?:B|KiB|MiB)/.test(document.querySelector(".reader")?.textContent ?? "") && document.querySelector(".reader").textContent.includes("conforms"));
  await comes("message: an address of its own", () => /^\d+:\d+$/.test(new URL(location.href).searchParams.get("open") ?? ""));
  await accessible("message", true);
  await fits("message");
  await picture("messages-message");
  const before = await page.evaluate(() => new URL(location.href).searchParams.get("open"));
  await page.keyboard.press("j");
  await comes("j goes to the next", (was) => new URL(location.href).searchParams.get("open") !== was, before);
  await page.keyboard.press("k");
  await comes("k goes back", (was) => new URL(location.href).searchParams.get("open") === was, before);
  const third = await page.locator(".m-at").nth(2).textContent();
  await keys("j", "j", "k"); // within a frame
  await comes("no key is lost, however fast they come", (id) => new URL(location.href).searchParams.get("open") === id && document.activeElement?.dataset.n === "2", third);
  check("copied: the message as consume prints it", JSON.parse(await copied("Copy JSON")).key === "user-service");
  const command = await copied("Copy as smartlb");
  check("copied: a command that sends it", / \| smartlb kafka produce service-metrics --json -b 127\.0\.0\.1:\d+$/.test(command), command);
  await page.evaluate(() => Object.defineProperty(window, "isSecureContext", { value: false, configurable: true }));
  check("copied: also where the browser has no clipboard for the page", (await copied("Copy as smartlb")) === command);
  await page.evaluate(() => delete window.isSecureContext);
  await page.keyboard.press("Escape");
  await comes("Escape closes it", () => document.querySelector(".reader") === null);

  // Export of a selection
  await page.locator(".message-line input").nth(0).check();
  await page.locator(".message-line input").nth(1).check();
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: /^Export/ }).click()]);
  const lines = (await readFile(await file.path(), "utf8")).trimEnd().split("\n").map((l) => JSON.parse(l));
  check("export: the two that were selected", lines.length === 2 && lines.every((l) => l.topic === "service-metrics" && typeof l.value === "string"), JSON.stringify(lines).slice(0, 200));

  // Messages that a page should not trust
  await at("hostile/messages?from=start");
  await comes("hostile: ten of them", () => document.querySelectorAll(".message").length === 10);
  const said = await page.evaluate(rows);
  check("no value, an empty one and null are three things", said[6].includes("tombstone") && said[7].includes("emptyempty") && said[8].includes("no keynull"), said.slice(6, 9).join(" | "));
  check("what turns text around is shown by its number", said[2].includes("⟨U+202E⟩gnp.exe") && said[2].includes("user⟨U+202E⟩txt.exe⟨U+0000⟩⟨U+200B⟩"), said[2]);
  await accessible("hostile rows", true);
  const open = async (offset) => {
    await page.locator(".message").nth(offset).click();
    await page.waitForSelector(`.reader[aria-label="Message 0:${offset}"] .value, .reader[aria-label="Message 0:${offset}"] .value-none`);
    return page.locator(".value, .value-none").first().textContent();
  };
  check("numbers keep their digits, and fields of one name are both there", /12345678901234567890[^]*"n": 2/.test(await open(0)));
  check("markup is text, in value, key and headers", (await open(1)).includes("<script>window.pwned=1</script>") && (await reader()).includes("<b>key</b>") && (await page.locator(".headers tbody tr").count()) === 4);
  check("headers: bytes and nothing", /againff/.test(await page.locator(".headers").textContent()) && (await page.locator(".headers").textContent()).endsWith("noneno value"));
  check("bytes that are no text are hex", (await open(3)).startsWith("00000000  ff fe 00 80"));
  await page.locator(".message").nth(4).click();
  await comes("a document of 20 000 levels opens", () => document.querySelector(".reader .j-fold"));
  await page.locator(".message").nth(5).click();
  await page.getByRole("button", { name: "Load it whole as a tree" }).click();
  await comes("a document of 100 000 fields opens", () => /100.000 fields/.test(document.querySelector(".reader .j-fold")?.textContent ?? ""));
  await page.locator(".reader .j-fold").first().click();
  await comes("a hundred of them at first", () => document.querySelectorAll(".reader .j-key").length === 100);
  await accessible("many fields", true);
  check("a tombstone says what it is", (await open(6)).includes("tombstone"));
  check("an empty value says what it is", (await open(7)).includes("empty"));
  check("null is a word", (await open(8)) === "null");
  check("no script of a message ran", !(await page.evaluate(() => window.pwned)));

  // 10 MB
  const began = Date.now();
  await page.locator(".message").nth(9).click();
  await comes("10 MB: its first bytes", () => /bytes 0 to 65.536 of 10.485.760/.test(document.querySelector(".parts-bar")?.textContent ?? ""));
  console.log(`     10 MB: ${Date.now() - began} ms to its first bytes`);
  await page.getByRole("button", { name: "Later" }).click();
  await comes("10 MB: the next", () => /bytes 65.536 to 131.072/.test(document.querySelector(".parts-bar")?.textContent ?? ""));
  check("10 MB: little of it is in the page", (await page.evaluate(() => document.body.textContent.length)) < 200_000);
  const [whole] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: /^Download/ }).click()]);
  check("10 MB: the download is all of it", (await readFile(await whole.path())).length === 10_485_760);
  await picture("messages-10mb");
  await accessible("10 MB", true);

  // Send
  await at("alerts/messages?from=start");
  await page.getByRole("button", { name: "Produce …" }).click();
  await page.getByLabel("Key", { exact: true }).fill("k");
  await write("Value", "{}");
  await comes("produce: what does not conform is said before", () => /fingerprint: missing/.test(document.querySelector(".verdict")?.textContent ?? ""));
  await accessible("produce", true);
  await picture("messages-produce");
  await page.getByRole("button", { name: "Send it anyway" }).click();
  await comes("produce: where it went", () => /Sent: partition 0, offset \d+/.test(document.querySelector(".tail-tools")?.textContent ?? ""));
  await page.getByRole("button", { name: "Search", exact: true }).click();
  await comes("produce: it is there, and does not conform", () => [...document.querySelectorAll(".message")].some((e) => e.textContent.includes("schema{}")));
  await page.locator(".message", { hasText: "schema{}" }).first().click();
  await page.getByRole("button", { name: "Send again …" }).click();
  await write("Value", '{"again":true}');
  await page.getByRole("button", { name: "Add a header" }).click();
  await page.getByLabel("Name of header 1").fill("edited");
  await page.getByRole("button", { name: "Send it anyway" }).click();
  await page.getByRole("button", { name: "Search", exact: true }).click();
  await comes("send again: with its edits", () => [...document.querySelectorAll(".message")].some((e) => e.textContent.includes('{"again":true}')));

  await page.getByRole("button", { name: "Produce …" }).click();
  await write("Value", '{"left":true}');
  await page.getByRole("button", { name: "Send it anyway" }).click();
  await at("alerts/messages");
  await comes("what was sent off arrives, though the page was left at once", () => [...document.querySelectorAll(".message")].some((e) => e.textContent.includes('{"left":true}')));

  // Dead letters: what does not conform goes to the dead-letter topic, and back.
  await at("service-metrics/messages");
  await page.getByRole("button", { name: "Produce …" }).click();
  await page.getByLabel("Key", { exact: true }).fill("letter");
  await write("Value", '{"not":"a report"}');
  await page.getByRole("button", { name: "Send it anyway" }).click();
  await comes("a letter is sent", () => /Sent: partition \d, offset \d+/.test(document.querySelector(".tail-tools")?.textContent ?? "")); // leaving the page before would call it off
  await at("service-metrics.dlq/messages");
  await comes("the dead letter comes", () => [...document.querySelectorAll(".message")].some((e) => e.textContent.includes("a report")));
  await page.getByLabel("Where to begin").selectOption("newest");
  await comes("and is found", () => document.querySelectorAll(".message").length === 1);
  const redrive = async (what) => {
    await page.getByRole("button", { name: "Send back …" }).click();
    await comes(`${what}: a preview`, () => /dead letters can go back/.test(document.querySelector("dialog")?.textContent ?? ""));
  };
  await redrive("redrive");
  check("redrive: one, to its topic, and it would come back", /1 of 1 dead letters.*1 to service-metrics.*they would come back/.test((await page.locator("dialog").textContent()).replaceAll("\n", " ")), await page.locator("dialog").textContent());
  await accessible("redrive", true);
  await page.getByRole("button", { name: "Send 1 back" }).click();
  await comes("redrive: it was sent", () => /1 sent back/.test(document.querySelector("dialog")?.textContent ?? ""));
  await page.locator("dialog").getByRole("button", { name: "Close" }).click();
  await page.locator(".message-line input").last().check();
  await redrive("a second time");
  await comes("a second time: it was sent back already", () => document.querySelector("dialog")?.textContent.includes("sent back already"));
  await page.locator("dialog").getByRole("button", { name: "Cancel" }).click();
  await page.getByLabel("Where to begin").selectOption("live");
  await comes("live: the letter and the one that came back", () => document.querySelectorAll(".message").length === 2);
  await redrive("live, where nothing is selected");
  await comes("live, where nothing is selected: of all letters", () => /of 2 dead letters/.test(document.querySelector("dialog")?.textContent ?? ""));
  await page.locator("dialog").getByRole("button", { name: "Cancel" }).click();

  // The connection
  await at("service-metrics/messages");
  await comes("before it is cut off: rows", () => document.querySelectorAll(".rows .message").length > 10);
  await cut();
  await comes("cut off: it says so", () => document.querySelector(".tail-status")?.textContent.includes("lost"));
  await comes("cut off: the rows stay", () => document.querySelectorAll(".rows.stale .message").length > 10);
  await reconnect();
  await comes("reconnected: it is live again by itself", () => /live, /.test(document.querySelector(".tail-status")?.textContent ?? ""));
  settled();
});
