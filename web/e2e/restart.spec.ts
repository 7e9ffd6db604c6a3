// A broker that dies and comes back while messages are shown. BROKER_CONTROL is the server of the Go test that does this:
// /stop, /start, and /produce for a third message. The topic "orders" has two messages.
import { expect, setting, test } from "./console";

test.use({ allowedMessages: /./ }); // calls fail while the broker is down

async function control(what: string) {
  const response = await fetch(`${setting("BROKER_CONTROL")}/${what}`);
  if (!response.ok) throw new Error(await response.text());
}

test("shows what is written after the broker is back", async ({ page, context }) => {
  const search = await context.newPage();
  await page.goto("/topics/orders/messages");
  await expect(page.locator(".message"), "live: both are shown").toHaveCount(2);
  await search.goto("/topics/orders/messages?from=newest");
  await expect(search.locator(".message"), "search: both are found").toHaveCount(2);
  await expect(search.locator(".search-note"), "search: and counted").toHaveText(/^2 found/);
  await control("stop");
  await page.bringToFront();
  await expect(page.locator(".tail-note.bad-text").first(), "live: it says that Kafka is unavailable, and why").toContainText(/127\.0\.0\.1|Kafka|answer/);
  await expect(page.locator(".message"), "live: the messages stay").toHaveCount(2);
  await search.bringToFront();
  await search.getByRole("button", { name: "Search", exact: true }).click();
  await expect(search.locator(".failure"), "search: it says why").toContainText(/nothing listens|no answer/);
  await control("start");
  await control("produce");
  await page.bringToFront();
  await expect(page, "live: what is written afterwards comes by itself").toSatisfy(() => document.querySelectorAll(".message").length === 3 && !document.querySelector(".tail-note.bad-text"));
  await search.bringToFront();
  await search.getByRole("button", { name: "Retry" }).click();
  await expect(search.locator(".message"), "search: it finds all three").toHaveCount(3);
  await expect(search.locator(".search-note"), "search: and counts them").toHaveText(/^3 found/);
  await page.bringToFront();
});
