// A person's way through the console of a running demo: overview, an instance
// that breaks and heals, topics, a live tail, keys, themes, a lost connection.
//
//   node e2e/overview.mjs http://127.0.0.1:8083 [FOLDER for screenshots]
import { drive } from "./browser.mjs";

const shareIs = ([id, low, high]) => {
  const text = document.querySelector(`[data-instance="${id}"] .share .num`)?.textContent ?? "";
  const v = text.startsWith("<") ? 0 : Number.parseFloat(text);
  return v >= low && v <= high;
};
const sick = "user-service-3";

await drive(async ({ page, url, check, accessible, steady, fits, comes, press, keys, picture, cut, reconnect, settled }) => {
  // Overview
  await page.goto(url);
  await comes("overview: eleven instances", () => document.querySelectorAll("[data-instance]").length === 11);
  await comes("overview: traffic is shown", () => [...document.querySelectorAll(".rate .num")].filter((e) => Number.parseFloat(e.textContent) > 0).length >= 9);
  const before = await page.locator(".rate .num").allTextContents();
  await comes("overview: the numbers are live", (was) => JSON.stringify([...document.querySelectorAll(".rate .num")].map((e) => e.textContent)) !== was, JSON.stringify(before));
  await steady("overview");
  await accessible("overview, dark");
  await fits("overview");

  // Break
  await page.locator(`[data-instance="${sick}"] a`).click();
  await comes("panel: has an address of its own", (id) => location.pathname === `/instances/user-service/${id}`, sick);
  await page.waitForSelector(".panel .lines li");
  await comes(`${sick} gets its share`, shareIs, [sick, 4, 100]);
  await accessible("panel");
  await press("break: the row says that it is broken", page.getByRole("button", { name: "Break: fast errors" }), (id) => document.querySelector(`[data-instance="${id}"] .tag`)?.textContent.includes("broken"), sick);
  await comes("break: the share shrinks to next to nothing", shareIs, [sick, 0, 2]);
  await comes("break: the panel says why", () => /error estimate (?!0\.0)|after \d+ failures in a row|multiply its cost/.test(document.querySelector(".panel .lines")?.textContent ?? ""));
  await picture("panel");
  await fits("panel");
  await page.keyboard.press("Escape");
  await comes("Escape closes the panel", () => location.pathname === "/" && document.querySelector(".panel") === null);
  await comes("and the focus returns to its row", (id) => document.activeElement?.closest("[data-instance]")?.dataset.instance === id, sick);
  await picture("overview");
  await accessible("overview with a broken instance");
  await page.goBack();
  await press("heal: the row says so", page.getByRole("button", { name: "Heal" }), (id) => !document.querySelector(`[data-instance="${id}"] .tag.warn`), sick);
  await page.keyboard.press("Escape");

  // Topics
  await keys("g", "t");
  await comes("g t: twelve topics", () => document.querySelectorAll(".vbody [role=row]").length === 12);
  await steady("topics");
  await accessible("topics");
  await fits("topics");
  await page.keyboard.press("/");
  await page.keyboard.type("service-m");
  await comes("the filter leaves two topics", () => document.querySelectorAll(".vbody [role=row]").length === 2);
  await page.keyboard.press("Control+A");
  await page.keyboard.press("Delete");

  // One topic
  await page.getByRole("link", { name: "service-metrics", exact: true }).click();
  await comes("topic: three partitions", () => document.querySelectorAll('section[aria-labelledby="partitions-h"] tbody tr').length === 3);
  await page.getByRole("link", { name: "Messages", exact: true }).click();
  await comes("messages: have an address of their own", () => location.pathname === "/topics/service-metrics/messages");
  await page.waitForSelector(".message");
  const newest = () => page.locator(".message").first().textContent();
  let top = await newest();
  await comes("tail: messages come by themselves", (was) => document.querySelector(".message")?.textContent !== was, top);
  await steady("topic");
  await page.getByRole("button", { name: "Pause" }).click();
  top = await newest();
  await comes("pause: new messages wait", () => /paused, [1-9]/.test(document.querySelector(".tail-status")?.textContent ?? ""));
  check("pause: the rows stay", (await newest()) === top);
  await page.keyboard.press("p");
  await comes("resume: they are shown", (was) => document.querySelector(".message")?.textContent !== was, top);
  await page.locator(".message").nth(1).click();
  await comes("message: JSON with its keys", () => [...document.querySelectorAll(".value .j-key")].some((k) => k.textContent === '"metrics"'));
  await comes("reading holds the tail", () => document.querySelector(".pause")?.getAttribute("aria-pressed") === "true");
  await picture("topics");
  await accessible("topic");
  await fits("topic");

  // Keys and theme
  await page.keyboard.press("?");
  await comes("? opens the help", () => document.querySelector("dialog[open] h2")?.textContent === "Keyboard");
  await accessible("help");
  await page.keyboard.press("Escape");
  await comes("Escape closes it", () => document.querySelector("dialog[open]") === null);
  await keys("g", "o");
  await page.waitForSelector("[data-instance]");
  const paint = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await paint();
  await page.getByRole("button", { name: /^Theme/ }).click();
  const light = ["the theme switches to light", (was) => getComputedStyle(document.body).backgroundColor !== was, dark];
  await comes(...light);
  await accessible("overview, light");
  await page.reload();
  await page.waitForSelector("[data-instance]");
  await comes("and is remembered", ...light.slice(1));

  // Charts on a canvas kept the colours of the theme before.
  await page.goto(`${url}/instances/user-service/${sick}`);
  await page.waitForSelector(".cost-bars canvas");
  await page.evaluate(() => {
    window.canvasColours = () => {
      const canvas = document.querySelector(".cost-bars canvas");
      const copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
      const g = copy.getContext("2d", { willReadFrequently: true });
      g.drawImage(canvas, 0, 0);
      const { data, width } = g.getImageData(0, 0, copy.width, copy.height);
      const at = 4 * (Math.round((3 / 4) * canvas.height) * width + width - 2); // on the line of ×1
      return data.slice(at, at + 3).join();
    };
  });
  const drawn = await page.evaluate(() => window.canvasColours());
  await page.emulateMedia({ colorScheme: "dark" });
  await page.getByRole("button", { name: /^Theme/ }).click();
  await comes("charts take the colours of the other theme", (was) => window.canvasColours() !== was, drawn);
  await page.getByRole("button", { name: /^Theme/ }).click();
  await page.emulateMedia({ colorScheme: "light" });
  await comes("and those of the system's, when the system changes", (was) => window.canvasColours() === was, drawn);
  await page.emulateMedia({ colorScheme: "dark" });
  await comes("both ways", (was) => window.canvasColours() !== was, drawn);

  // An instance that is not there, and a page that is not
  await page.goto(`${url}/instances/user-service/nobody`);
  await comes("an unknown instance: says which there are", () => /there is no instance "nobody".*user-service-1/.test(document.querySelector(".panel")?.textContent ?? ""));
  await page.goto(`${url}/nowhere`);
  await comes("an unknown page says so", () => document.querySelector("h1")?.textContent === "Page not found");
  await page.goto(url);
  await page.waitForSelector("[data-instance]");

  // The connection
  await cut();
  await comes("cut off: it says so", () => document.querySelector(".strip")?.textContent.includes("No connection"));
  await comes("cut off: the last data stays, greyed", () => document.querySelectorAll("main.stale [data-instance]").length === 11);
  await page.getByRole("link", { name: "Configuration", exact: true }).click(); // its code was not loaded yet
  await comes("cut off: a view that is opened waits", () => document.title.startsWith("Configuration") && /configuration/i.test(document.querySelector(".view")?.textContent ?? ""));
  await page.waitForTimeout(1500);
  await reconnect();
  await comes("reconnected: the view that was opened meanwhile is shown", () => /routes|listeners/.test(document.querySelector("pre.document")?.textContent ?? ""));
  await page.goBack();
  await comes("reconnected: it is live again by itself", () => document.querySelector(".connection")?.textContent.includes("live") && !document.querySelector("main.stale"));
  settled();

  await comes("heal: the share comes back", shareIs, [sick, 4, 100]);
}, { expected: (m) => m.location().url.includes("/nobody/") }); // a 404 that was asked for
