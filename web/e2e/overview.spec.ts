// The overview of a running demo and what is reached from it: an instance that breaks and heals, topics, a live tail,
// keys, themes, a lost connection.
import { keys, picture, pressUntil } from "./actions";
import { expect, sick, test } from "./console";

declare global {
  interface Window {
    /** The colour of the line of ×1 in the chart of costs. */
    canvasColours: () => string;
  }
}

/** Whether the share of an instance, in percent, is between low and high. */
const shareIs = ([id, low, high]: [string, number, number]) => {
  const text = document.querySelector(`[data-instance="${id}"] .share .num`)?.textContent ?? "";
  const v = text.startsWith("<") ? 0 : Number.parseFloat(text);
  return v >= low && v <= high;
};

test("shows the instances with live numbers", async ({ page }) => {
  await page.goto("/");
  await expect(page.locator("[data-instance]"), "overview: eleven instances").toHaveCount(11);
  await expect(page, "overview: traffic is shown").toSatisfy(() => [...document.querySelectorAll(".rate .num")].filter((e) => Number.parseFloat(e.textContent) > 0).length >= 9);
  const before = await page.locator(".rate .num").allTextContents();
  await expect(page, "overview: the numbers are live").toSatisfy((was: string) => JSON.stringify([...document.querySelectorAll(".rate .num")].map((e) => e.textContent)) !== was, JSON.stringify(before));
  await expect(page, "overview").toBeSteady();
  await expect(page, "overview, dark").toBeAccessible();
  await expect(page, "overview").toFitNarrowScreen();
});

test.afterEach(({ api }) => api.heal(sick));

test("explains why a broken instance gets few requests", async ({ page }) => {
  await page.goto("/");
  await page.locator(`[data-instance="${sick}"] a`).click();
  await expect(page, "panel: has an address of its own").toHaveURL((u) => u.pathname === `/instances/user-service/${sick}`);
  await page.locator(".panel .lines li").first().waitFor();
  await expect(page, `${sick} gets its share`).toSatisfy(shareIs, [sick, 4, 100]);
  await expect(page, "panel").toBeAccessible();
  await pressUntil(page, "break: the row says that it is broken", page.getByRole("button", { name: "Break: fast errors" }), (id: string) => document.querySelector(`[data-instance="${id}"] .tag`)?.textContent.includes("broken"), sick);
  await expect(page, "break: the share shrinks to next to nothing").toSatisfy(shareIs, [sick, 0, 2]);
  await expect(page.locator(".panel .lines").first(), "break: the panel says why").toContainText(/error estimate (?!0\.0)|after \d+ failures in a row|multiply its cost/);
  await picture(page, "panel");
  await expect(page, "panel").toFitNarrowScreen();
  await page.keyboard.press("Escape");
  await expect(page, "Escape closes the panel").toSatisfy(() => location.pathname === "/" && document.querySelector(".panel") === null);
  await expect(page, "and the focus returns to its row").toSatisfy((id: string) => document.activeElement?.closest<HTMLElement>("[data-instance]")?.dataset.instance === id, sick);
  await picture(page, "overview");
  await expect(page, "overview with a broken instance").toBeAccessible();
  await page.goBack();
  await pressUntil(page, "heal: the row says so", page.getByRole("button", { name: "Heal" }), (id: string) => !document.querySelector(`[data-instance="${id}"] .tag.warn`), sick);
  await page.keyboard.press("Escape");
  await expect(page, "heal: the share comes back").toSatisfy(shareIs, [sick, 4, 100]);
});

test("lists the topics", async ({ page }) => {
  await page.goto("/");
  await page.locator("[data-instance]").first().waitFor();
  await keys(page, "g", "t");
  await expect(page.locator(".vbody [role=row]"), "g t: fourteen topics").toHaveCount(14);
  await expect(page, "topics").toBeSteady();
  await expect(page, "topics").toBeAccessible();
  await expect(page, "topics").toFitNarrowScreen();
  await page.keyboard.press("/");
  await page.keyboard.type("service-m");
  await expect(page.locator(".vbody [role=row]"), "the filter leaves two topics").toHaveCount(2);
});

test("follows the messages of a topic", async ({ page }) => {
  await page.goto("/topics");
  await page.getByRole("link", { name: "service-metrics", exact: true }).click();
  await expect(page.locator('section[aria-labelledby="partitions-h"] tbody tr'), "topic: three partitions").toHaveCount(3);
  await page.getByRole("link", { name: "Messages", exact: true }).click();
  await expect(page, "messages: have an address of their own").toHaveURL((u) => u.pathname === "/topics/service-metrics/messages");
  await page.locator(".message").first().waitFor();
  const newest = () => page.locator(".message").first().textContent();
  let top = await newest();
  await expect(page, "tail: messages arrive without a reload").toSatisfy((was: string) => document.querySelector(".message")?.textContent !== was, top);
  await expect(page, "topic").toBeSteady();
  await page.getByRole("button", { name: "Pause" }).click();
  top = await newest();
  await expect(page.locator(".tail-status").first(), "pause: new messages wait").toContainText(/paused, [1-9]/);
  expect(await newest(), "pause: the rows stay").toBe(top);
  await page.keyboard.press("p");
  await expect(page, "resume: they are shown").toSatisfy((was: string) => document.querySelector(".message")?.textContent !== was, top);
  await page.locator(".message").nth(1).click();
  await expect(page, "message: JSON with its keys").toSatisfy(() => [...document.querySelectorAll(".value .j-key")].some((k) => k.textContent === '"metrics"'));
  await expect(page, "reading holds the tail").toSatisfy(() => document.querySelector(".pause")?.getAttribute("aria-pressed") === "true");
  await picture(page, "topics");
  await expect(page, "topic").toBeAccessible();
  await expect(page, "topic").toFitNarrowScreen();
});

test("is used by keyboard", async ({ page }) => {
  await page.goto("/");
  await page.locator("[data-instance]").first().waitFor();
  await page.keyboard.press("?");
  await expect(page.locator("dialog[open] h2").first(), "? opens the help").toHaveText("Keyboard");
  await expect(page, "help").toBeAccessible();
  await page.keyboard.press("Escape");
  await expect(page.locator("dialog[open]"), "Escape closes it").toHaveCount(0);
  await keys(page, "g", "t");
  await page.locator(".vbody [role=row]").first().waitFor();
  await keys(page, "g", "o");
  await page.locator("[data-instance]").first().waitFor();
});

test("has a light theme, which is remembered", async ({ page }) => {
  await page.goto("/");
  await page.locator("[data-instance]").first().waitFor();
  const paint = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await paint();
  await page.getByRole("button", { name: /^Theme/ }).click();
  const differs = (was: string) => getComputedStyle(document.body).backgroundColor !== was;
  await expect(page, "the theme switches to light").toSatisfy(differs, dark);
  await expect(page, "overview, light").toBeAccessible();
  await page.reload();
  await page.locator("[data-instance]").first().waitFor();
  await expect(page, "and is remembered").toSatisfy(differs, dark);
});

test("says how many more requests the services carry", async ({ page }) => {
  await page.goto("/");
  const figure = page.locator('[data-service="user-service"] .figures a');
  await expect(figure, "overview: the headroom of a service").toHaveText(/unknown|\d/);
  await figure.click();
  await expect(page, "capacity: a service has an address of its own").toHaveURL((u) => u.pathname === "/capacity/user-service");
  await expect(page.locator(".capacity-text"), "capacity: the demo's instances report their utilization").toHaveText(/^carries .*requests\/s|^overloaded/);
  await expect(page.locator(".capacity .vbody [role=row]"), "capacity: four instances").toHaveCount(4);
  await expect(page, "capacity of a service").toBeAccessible();
  await expect(page, "capacity of a service").toFitNarrowScreen();
  await page.getByRole("link", { name: "All services" }).click();
  await expect(page.locator(".capacities li"), "capacity: one line for each service").toHaveCount(3);
  await expect(page.locator(".capacities .capacity-text").first(), "capacity: a number, or why there is none").toHaveText(/requests\/s|unknown/);
  await expect(page, "capacity").toBeAccessible();
  await expect(page, "capacity").toFitNarrowScreen();
});

test("draws charts in the colours of the theme", async ({ page }) => {
  await page.goto(`/instances/user-service/${sick}`);
  await page.getByRole("button", { name: /^Theme/ }).click(); // light; then dark, then that of the system
  await page.locator(".cost-bars canvas").first().waitFor();
  await page.evaluate(() => {
    window.canvasColours = () => {
      const canvas = document.querySelector<HTMLCanvasElement>(".cost-bars canvas")!;
      const copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
      const g = copy.getContext("2d", { willReadFrequently: true })!;
      g.drawImage(canvas, 0, 0);
      const { data, width } = g.getImageData(0, 0, copy.width, copy.height);
      const at = 4 * (Math.round((3 / 4) * canvas.height) * width + width - 2); // on the line of ×1
      return data.slice(at, at + 3).join();
    };
  });
  const drawn = await page.evaluate(() => window.canvasColours());
  await page.emulateMedia({ colorScheme: "dark" });
  await page.getByRole("button", { name: /^Theme/ }).click();
  await expect(page, "charts take the colours of the other theme").toSatisfy((was: string) => window.canvasColours() !== was, drawn);
  await page.getByRole("button", { name: /^Theme/ }).click();
  await page.emulateMedia({ colorScheme: "light" });
  await expect(page, "and those of the system's, when the system changes").toSatisfy((was: string) => window.canvasColours() === was, drawn);
  await page.emulateMedia({ colorScheme: "dark" });
  await expect(page, "both ways").toSatisfy((was: string) => window.canvasColours() !== was, drawn);
});

test.describe("what does not exist", () => {
  test.use({ allowedMessages: /\/nobody\// }); // the node answers 404

test("is named", async ({ page }) => {
  await page.goto("/instances/user-service/nobody");
  await expect(page.locator(".panel").first(), "an unknown instance: says which there are").toContainText(/there is no instance "nobody".*user-service-1/);
  await page.goto("/nowhere");
  await expect(page.locator("h1").first(), "an unknown page says so").toHaveText("Page not found");
  await page.goto("/");
  await page.locator("[data-instance]").first().waitFor();
});
});

test("keeps what it showed while the connection is lost", async ({ page, network }) => {
  await page.goto("/");
  await page.locator("[data-instance]").first().waitFor();
  await network.cut();
  await expect(page.locator(".strip").first(), "cut off: it says so").toContainText("No connection");
  await expect(page.locator("main.stale [data-instance]"), "cut off: the last data stays, greyed").toHaveCount(11);
  await page.getByRole("link", { name: "Configuration", exact: true }).click(); // its code was not loaded yet
  await expect(page, "cut off: a view that is opened waits").toSatisfy(() => document.title.startsWith("Configuration") && /configuration/i.test(document.querySelector(".view")?.textContent ?? ""));
  await page.waitForTimeout(1_500); // the page has tried to connect
  await network.reconnect();
  await expect(page.locator("pre.document").first(), "reconnected: the view that was opened meanwhile is shown").toContainText(/routes|listeners/);
  await page.goBack();
  await expect(page, "reconnected: it is live again by itself").toSatisfy(() => document.querySelector(".connection")?.textContent.includes("live") && !document.querySelector("main.stale"));
});
