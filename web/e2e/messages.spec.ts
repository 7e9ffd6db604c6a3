// Messages: the live stream, searches, one message with all its details, hostile messages, sending, and sending dead
// letters back. The Go test has made the topic "hostile".
import { readFile } from "node:fs/promises";
import type { Locator, Page } from "@playwright/test";
import { editor, hold, keys, picture } from "./actions";
import { expect, test } from "./console";

declare global {
  interface Window {
    /** What a script of a hostile message would set. */
    pwned?: number;
  }
}

test.use({ permissions: ["clipboard-read", "clipboard-write"] });

/** What a button copies. The page copies after the click. */
async function copied(page: Page, button: string) {
  await page.evaluate(() => navigator.clipboard.writeText(""));
  await page.getByRole("button", { name: button }).click();
  await page.waitForFunction(async () => (await navigator.clipboard.readText()) !== "", undefined, { polling: 100 });
  return page.evaluate(() => navigator.clipboard.readText());
}

const parameter = (page: Page, name: string) => new URL(page.url()).searchParams.get(name);

async function inAddress(page: Page, what: string, name: string, value: string) {
  await expect(page, what).toHaveURL((u) => u.searchParams.get(name) === value);
}

/** A search for the newest reports of one instance. */
const reports = "/topics/service-metrics/messages?from=newest&json=instanceId+%3D%3D+user-service-2";

/** Waits until a topic that is searched once has enough messages to find. */
async function manyReports(page: Page) {
  await expect(page, "there are some hundreds of messages").toSatisfy(() =>
    fetch("/api/v1/topics/service-metrics").then(
      async (r) => r.ok && (await r.json()).partitions.reduce((n: number, p: { start: number; end: number }) => n + p.end - p.start, 0) >= 300,
      () => false,
    ),
  );
}

const onlySecond = () => document.querySelectorAll(".message").length > 0 && [...document.querySelectorAll(".m-value")].every((e) => e.textContent.includes("user-service-2"));

test("follows a topic, pauses and filters", async ({ page }) => {
  await page.goto("/topics/service-metrics/messages");
  await page.locator(".message").first().waitFor();
  const newest = () => page.locator(".message").first().textContent();
  let top = await newest();
  await expect(page, "live: messages arrive without a reload").toSatisfy((was: string) => document.querySelector(".message")?.textContent !== was, top);
  await expect(page, "live").toBeSteady();
  await expect(page, "live").toBeAccessible({ all: true });
  await expect(page, "live").toFitNarrowScreen();
  await picture(page, "messages-live");
  await page.keyboard.press("p");
  await expect(page.locator(".tail-status").first(), "p pauses: new messages wait").toContainText(/paused, [1-9]/);
  top = await newest();
  await expect(page.getByRole("button", { name: "Filter", exact: true }), "the bar can be used while it is paused").toBeEnabled();
  await page.getByRole("button", { name: "Resume" }).click();
  await expect(page, "resume: they are shown").toSatisfy((was: string) => document.querySelector(".message")?.textContent !== was, top);
  await page.keyboard.press("/");
  await page.keyboard.type("order-service");
  await page.keyboard.press("Enter");
  await expect(page, "live: the filter is the server's").toSatisfy(() => {
    const keys = [...document.querySelectorAll(".m-key")].map((e) => e.textContent);
    return keys.length > 2 && keys.every((k) => k === "order-service");
  });
  await inAddress(page, "and is in the address", "text", "order-service");
  await expect(page.locator("input[type=search]:focus"), "the cursor stays in the filter").toBeAttached();
});

test("searches by text, CEL and JSON", async ({ page }) => {
  await page.goto("/topics/service-metrics/messages?text=order-service");
  await page.locator(".message").first().waitFor();
  await manyReports(page);
  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByLabel("Where to begin").focus();
  await page.getByLabel("Where to begin").selectOption("newest");
  await expect(page, "newest first: a hundred, and how it ended").toSatisfy(() => /^100 found/.test(document.querySelector(".search-note")?.textContent ?? "") && document.querySelector(".search-note")?.textContent.includes("The limit of matches was reached"));
  await inAddress(page, "the address says so", "from", "newest");
  await expect(page.getByLabel("Where to begin"), "and the choice keeps the focus").toBeFocused();
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page, "go on: more of them").toSatisfy(() => Number.parseInt(document.querySelector(".search-note")?.textContent ?? "") > 100);
  await page.getByRole("button", { name: "More filters" }).click();
  await page.getByLabel("CEL").fill("value.metrics.rps >");
  await expect(page.locator(".term-where .mistake").first(), "a mistake is shown with its place").toContainText(/character \d+/);
  await expect(page.getByRole("button", { name: "Search", exact: true }), "and is not sent").toBeDisabled();
  await expect(page, "a mistake").toBeAccessible({ all: true });
  await page.getByLabel("CEL").fill('value.metrics.rps > 0 && key.startsWith("user")');
  await page.getByRole("button", { name: "Search", exact: true }).click();
  await expect(page, "CEL: only what it is true of").toSatisfy(() => {
    const keys = [...document.querySelectorAll(".m-key")].map((e) => e.textContent);
    return keys.length > 5 && keys.every((k) => k === "user-service");
  });
  const release = await hold(page, /\/search\?/);
  await page.getByRole("button", { name: "Search", exact: true }).click();
  await page.getByRole("button", { name: "Stop" }).waitFor();
  await page.getByLabel("JSON").fill("instanceId == user-service-2");
  await page.keyboard.press("Enter");
  await inAddress(page, "Enter begins anew while a search runs", "json", "instanceId == user-service-2");
  await release();
  await expect(page, "JSON: and what is there").toSatisfy(onlySecond);
  await expect(page, "examples are of this topic").toSatisfy(() => [...document.querySelectorAll(".examples .example")].some((e) => e.textContent.startsWith("value.metrics.")));
  await expect(page, "search").toBeAccessible({ all: true });
  await expect(page, "search").toFitNarrowScreen();
  await picture(page, "messages-search");
});

test("runs a saved search again", async ({ page }) => {
  await page.goto("/topics/service-metrics/messages");
  await manyReports(page);
  await page.goto(reports);
  await expect(page, "JSON: what is there").toSatisfy(onlySecond);
  const query = (u: URL) => [...u.searchParams].sort().join("&");
  const address = query(new URL(page.url()));
  await page.getByRole("button", { name: "Saved" }).click();
  await page.getByLabel("Save this search as").fill("users, second");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("button", { name: "Close" }).click();
  await page.goto("/topics/alerts/messages");
  await page.getByRole("button", { name: "Saved" }).click();
  await expect(page, "saved searches").toBeAccessible({ all: true });
  await page.getByRole("link", { name: "users, second" }).click();
  await expect(page, "a saved search is run again").toSatisfy(onlySecond);
  await expect(page, "at its address").toHaveURL((u) => query(u) === address);
});

test("shows one message with its batch and schema", async ({ page }) => {
  await page.goto("/topics/service-metrics/messages");
  await manyReports(page);
  await page.goto(reports);
  await page.locator(".message").nth(3).waitFor();
  await page.locator(".message").nth(1).click();
  await page.locator(".reader .j-key").first().waitFor();
  await expect(page, "message: its fields as a tree").toSatisfy(() => [...document.querySelectorAll(".reader .j-key")].some((k) => k.textContent === '"metrics"'));
  await expect(page, "message: its batch and its schema").toSatisfy(() => /\d messages? in [\d.]+ (?:B|KiB|MiB)/.test(document.querySelector(".reader")?.textContent ?? "") && document.querySelector(".reader")?.textContent.includes("conforms"));
  await expect(page, "message: an address of its own").toHaveURL((u) => /^\d+:\d+$/.test(u.searchParams.get("open") ?? ""));
  await expect(page, "message").toBeAccessible({ all: true });
  await expect(page, "message").toFitNarrowScreen();
  await picture(page, "messages-message");
  const before = parameter(page, "open");
  await page.keyboard.press("j");
  await expect(page, "j goes to the next").toHaveURL((u) => u.searchParams.get("open") !== before);
  await page.keyboard.press("k");
  await expect(page, "k goes back").toHaveURL((u) => u.searchParams.get("open") === before);
  const third = await page.locator(".m-at").nth(2).textContent();
  await keys(page, "j", "j", "k"); // within a frame
  await expect(page, "no key is lost, however fast they come").toSatisfy((id: string) => new URL(location.href).searchParams.get("open") === id && (document.activeElement as HTMLElement | null)?.dataset.n === "2", third);
  expect(JSON.parse(await copied(page, "Copy JSON")).key, "copied: the message as consume prints it").toBe("user-service");
  const command = await copied(page, "Copy as smartlb");
  expect(command, "copied: a command that sends it").toMatch(/ \| smartlb kafka produce service-metrics --json -b 127\.0\.0\.1:\d+$/);
  await page.evaluate(() => Object.defineProperty(window, "isSecureContext", { value: false, configurable: true }));
  expect(await copied(page, "Copy as smartlb"), "copied: also where the browser has no clipboard for the page").toBe(command);
  await page.evaluate(() => delete (window as { isSecureContext?: boolean }).isSecureContext);
  await page.keyboard.press("Escape");
  await expect(page.locator(".reader"), "Escape closes it").toHaveCount(0);
});

test("exports the selected messages", async ({ page }) => {
  await page.goto("/topics/service-metrics/messages");
  await manyReports(page);
  await page.goto(reports);
  await page.locator(".message").nth(1).waitFor();
  await page.locator(".message-line input").nth(0).check();
  await page.locator(".message-line input").nth(1).check();
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: /^Export/ }).click()]);
  const lines = (await readFile(await file.path(), "utf8")).trimEnd().split("\n").map((l) => JSON.parse(l) as { topic: string; value: string });
  expect(lines.length, "export: the two that were selected").toBe(2);
  expect(lines.every((l) => l.topic === "service-metrics" && typeof l.value === "string"), "export: the two that were selected").toBeTruthy();
});

/** Opens a message of the topic "hostile" and returns its value as shown. */
async function open(page: Page, offset: number) {
  await page.locator(".message").nth(offset).click();
  const reader: Locator = page.locator(`.reader[aria-label="Message 0:${offset}"]`);
  await reader.locator(".value, .value-none").first().waitFor();
  return (await page.locator(".value, .value-none").first().textContent()) ?? "";
}

test("shows hostile messages as what they are", async ({ page }) => {
  await page.goto("/topics/hostile/messages?from=start");
  await expect(page.locator(".message"), "hostile: ten of them").toHaveCount(10);
  const said = await page.locator(".message").allTextContents();
  expect(said[6], "no value, an empty one and null are three things").toContain("tombstone");
  expect(said[7], "no value, an empty one and null are three things").toContain("emptyempty");
  expect(said[8], "no value, an empty one and null are three things").toContain("no keynull");
  expect(said[2], "what turns text around is shown by its number").toContain("⟨U+202E⟩gnp.exe");
  expect(said[2], "what turns text around is shown by its number").toContain("user⟨U+202E⟩txt.exe⟨U+0000⟩⟨U+200B⟩");
  await expect(page, "hostile rows").toBeAccessible({ all: true });
  expect(await open(page, 0), "numbers keep their digits, and fields of one name are both there").toMatch(/12345678901234567890[^]*"n": 2/);
  expect(await open(page, 1), "markup is text, in value, key and headers").toContain("<script>window.pwned=1</script>");
  await expect(page.locator(".reader"), "markup is text, in value, key and headers").toContainText("<b>key</b>");
  await expect(page.locator(".headers tbody tr"), "markup is text, in value, key and headers").toHaveCount(4);
  await expect(page.locator(".headers"), "headers: bytes and nothing").toContainText(/againff/);
  await expect(page.locator(".headers"), "headers: bytes and nothing").toContainText(/noneno value$/);
  expect(await open(page, 3), "bytes that are no text are hex").toMatch(/^00000000  ff fe 00 80/);
  await page.locator(".message").nth(4).click();
  await expect(page.locator(".reader .j-fold").first(), "a document of 20 000 levels opens").toBeAttached();
  await page.locator(".message").nth(5).click();
  await page.getByRole("button", { name: "Load it whole as a tree" }).click();
  await expect(page.locator(".reader .j-fold").first(), "a document of 100 000 fields opens").toContainText(/100.000 fields/);
  await page.locator(".reader .j-fold").first().click();
  await expect(page.locator(".reader .j-key"), "a hundred of them at first").toHaveCount(100);
  await expect(page, "many fields").toBeAccessible({ all: true });
  expect(await open(page, 6), "a tombstone says what it is").toContain("tombstone");
  expect(await open(page, 7), "an empty value says what it is").toContain("empty");
  expect(await open(page, 8), "null is a word").toBe("null");
  expect(await page.evaluate(() => window.pwned), "no script of a message ran").toBeUndefined();
});

test("reads a message of 10 MB in parts", async ({ page }) => {
  await page.goto("/topics/hostile/messages?from=start");
  await expect(page.locator(".message"), "hostile: ten of them").toHaveCount(10);
  const began = Date.now();
  await page.locator(".message").nth(9).click();
  await expect(page.locator(".parts-bar").first(), "10 MB: its first bytes").toContainText(/bytes 0 to 65.536 of 10.485.760/);
  console.log(`     10 MB: ${Date.now() - began} ms to its first bytes`);
  await page.getByRole("button", { name: "Later" }).click();
  await expect(page.locator(".parts-bar").first(), "10 MB: the next").toContainText(/bytes 65.536 to 131.072/);
  expect(await page.evaluate(() => document.body.textContent.length), "10 MB: little of it is in the page").toBeLessThan(200_000);
  const [whole] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: /^Download/ }).click()]);
  expect((await readFile(await whole.path())).length, "10 MB: the download is all of it").toBe(10_485_760);
  await picture(page, "messages-10mb");
  await expect(page, "10 MB").toBeAccessible({ all: true });
});

test("produces a message, and one again with edits", async ({ page }) => {
  await page.goto("/topics/alerts/messages?from=start");
  await page.getByRole("button", { name: "Produce …" }).click();
  await page.getByLabel("Key", { exact: true }).fill("k");
  await editor(page, "Value").write("{}");
  await expect(page.locator(".verdict").first(), "produce: what does not conform is said before").toContainText(/fingerprint: missing/);
  await expect(page, "produce").toBeAccessible({ all: true });
  await picture(page, "messages-produce");
  await page.getByRole("button", { name: "Send it anyway" }).click();
  await expect(page.locator(".tail-tools").first(), "produce: where it went").toContainText(/Sent: partition 0, offset \d+/);
  await page.getByRole("button", { name: "Search", exact: true }).click();
  await expect(page, "produce: it is there, and does not conform").toSatisfy(() => [...document.querySelectorAll(".message")].some((e) => e.textContent.includes("schema{}")));
  await page.locator(".message", { hasText: "schema{}" }).first().click();
  await page.getByRole("button", { name: "Send again …" }).click();
  await editor(page, "Value").write('{"again":true}');
  await page.getByRole("button", { name: "Add a header" }).click();
  await page.getByLabel("Name of header 1").fill("edited");
  await page.getByRole("button", { name: "Send it anyway" }).click();
  await page.getByRole("button", { name: "Search", exact: true }).click();
  await expect(page, "send again: with its edits").toSatisfy(() => [...document.querySelectorAll(".message")].some((e) => e.textContent.includes('{"again":true}')));
});

test("sends a message although the page is left at once", async ({ page }) => {
  await page.goto("/topics/alerts/messages?from=start");
  await page.getByRole("button", { name: "Produce …" }).click();
  await editor(page, "Value").write('{"left":true}');
  await page.getByRole("button", { name: "Send it anyway" }).click();
  await page.goto("/topics/alerts/messages");
  await expect(page, "what was sent off arrives, though the page was left at once").toSatisfy(() => [...document.querySelectorAll(".message")].some((e) => e.textContent.includes('{"left":true}')));
});

test("sends dead letters back", async ({ page, api }) => {
  await api.post("/topics/service-metrics.dlq/truncate", { before: "end" });
  await page.goto("/topics/service-metrics/messages");
  await page.getByRole("button", { name: "Produce …" }).click();
  await page.getByLabel("Key", { exact: true }).fill("letter");
  await editor(page, "Value").write('{"not":"a report"}');
  await page.getByRole("button", { name: "Send it anyway" }).click();
  await expect(page.locator(".tail-tools").first(), "a letter is sent").toContainText(/Sent: partition \d, offset \d+/); // leaving the page earlier would cancel the request
  await page.goto("/topics/service-metrics.dlq/messages");
  await expect(page, "the dead letter comes").toSatisfy(() => [...document.querySelectorAll(".message")].some((e) => e.textContent.includes("a report")));
  await page.getByLabel("Where to begin").selectOption("newest");
  await expect(page.locator(".message"), "and is found").toHaveCount(1);
  const redrive = async (what: string) => {
    await page.getByRole("button", { name: "Send back …" }).click();
    await expect(page.locator("dialog").first(), `${what}: a preview`).toContainText(/dead letters can go back/);
  };
  await redrive("redrive");
  await expect(page.locator("dialog"), "redrive: one, to its topic, and it would come back").toContainText(/1 of 1 dead letters.*1 to service-metrics.*they would come back/s);
  await expect(page, "redrive").toBeAccessible({ all: true });
  await page.getByRole("button", { name: "Send 1 back" }).click();
  await expect(page.locator("dialog").first(), "redrive: it was sent").toContainText(/1 sent back/);
  await page.locator("dialog").getByRole("button", { name: "Close" }).click();
  await page.locator(".message-line input").last().check();
  await redrive("a second time");
  await expect(page.locator("dialog").first(), "a second time: it was sent back already").toContainText("sent back already");
  await page.locator("dialog").getByRole("button", { name: "Cancel" }).click();
  await page.getByLabel("Where to begin").selectOption("live");
  await expect(page.locator(".message"), "live: the letter and the one that came back").toHaveCount(2);
  await redrive("live, where nothing is selected");
  await expect(page.locator("dialog").first(), "live, where nothing is selected: of all letters").toContainText(/of 2 dead letters/);
  await page.locator("dialog").getByRole("button", { name: "Cancel" }).click();
});

test("keeps its rows while the connection is lost", async ({ page, network }) => {
  await page.goto("/topics/service-metrics/messages");
  await expect(page, "before it is cut off: rows").toSatisfy(() => document.querySelectorAll(".rows .message").length > 10);
  await network.cut();
  await expect(page.locator(".tail-status").first(), "cut off: it says so").toContainText("lost");
  await expect(page, "cut off: the rows stay").toSatisfy(() => document.querySelectorAll(".rows.stale .message").length > 10);
  await network.reconnect();
  await expect(page.locator(".tail-status").first(), "reconnected: it is live again by itself").toContainText(/live, /);
});
