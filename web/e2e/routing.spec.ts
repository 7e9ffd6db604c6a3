// The receivers of alerts, and the route of a request, in the console of a node of its own. The receivers are one that takes
// messages (good) and one that refuses connections (bad). The routes are named rest, users and canary.
import { picture } from "./actions";
import { expect, test } from "./console";

test.use({ allowedMessages: /Failed to load resource.*(receivers\/bad\/test|config\/route)/ }); // a call that is refused

test("lists the receivers of alerts and sends test messages", async ({ page }) => {
  await page.goto("/alerts");
  const good = page.locator('[data-receiver="good"]');
  const bad = page.locator('[data-receiver="bad"]');
  await expect(good, "a receiver: type and state").toContainText(/webhook.*unused/);
  await expect(page.locator('section[aria-labelledby="receivers"]'), "the node that sends").toContainText(/sends alerts/);
  await page.getByRole("button", { name: "Send test message to good" }).click();
  await expect(good, "the result of the test").toContainText("receiver good took the test message");
  await page.getByRole("button", { name: "Send test message to bad" }).click();
  await expect(bad.getByRole("alert"), "the error of the test").toContainText(/connection refused/);
  await expect(page, "receivers").toBeAccessible({ all: true });
  await expect(page, "receivers").toFitNarrowScreen();
  await picture(page, "receivers");
});

test("finds the route of a request, and why the others do not take it", async ({ page }) => {
  await page.goto("/configuration");
  await page.getByRole("link", { name: "Route test", exact: true }).click();
  await page.getByLabel("URL or path").fill("http://shop.example.com/users/1?a=<img src=x onerror=alert(1)>");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert"), "no URL: the reason").toContainText("neither blanks nor line ends");
  await page.getByLabel("URL or path").fill("http://shop.example.com/users/1?a=<img/src=x>");
  await page.getByRole("button", { name: "Find route" }).click();
  await expect(page.locator(".found"), "the route and what it does").toContainText("route users, service shop");
  await expect(page.locator('[data-route="canary"]'), "why another route does not match").toContainText('header is none, want X-Canary: "yes"');
  await expect(page.locator('[data-route="rest"]'), "why another route is later").toContainText("route users goes before it");
  await page.getByLabel("Headers, one per line").fill("X-Other: 1\nX-Canary: yes");
  await page.getByLabel("Client address").fill("10.1.2.3");
  await page.getByRole("button", { name: "Find route" }).click();
  await expect(page.locator(".found"), "with headers and address: another route").toContainText("route canary");
  await expect(page, "route test").toBeAccessible({ all: true });
  await expect(page, "route test").toFitNarrowScreen();
  await picture(page, "route-test");
});
