// Consumer groups: the list, a group with members, and one without that is
// reset, marked and deleted. The group "shop" stands at the beginning of the
// topic "carts", which has two partitions with ten records each.
//
//   node e2e/groups.mjs http://127.0.0.1:8083
import { drive } from "./browser.mjs";

await drive(async ({ page, url, check, accessible, steady, fits, comes, keys, picture, cut, reconnect, settled }) => {
  await page.goto(url);
  await page.waitForSelector("[data-instance]");
  await keys("g", "g");
  await page.waitForSelector('[data-id="shop"]');
  await comes("g g: the list", () => location.pathname === "/groups");
  await comes("the analyzer's group is stable", () => document.querySelector('[data-id^="smartlb"]')?.textContent.includes("Stable")); // once its members are together
  await comes("shop is behind by all twenty", () => /(^|\D)20(\D|$)/.test(document.querySelector('[data-id="shop"]')?.textContent ?? ""));
  await steady("groups");
  await accessible("groups");
  await fits("groups");
  await picture("groups");
  await page.keyboard.press("/");
  await page.keyboard.type("carts");
  await comes("the filter looks at topics", () => document.querySelectorAll(".vbody .vrow").length === 1);
  await comes("and is in the address", () => new URL(location.href).searchParams.get("q") === "carts");

  await page.getByRole("link", { name: "shop" }).click();
  await page.waitForSelector("h1");
  await comes("its partitions are listed", () => document.querySelectorAll("section table tbody tr").length === 2);
  await accessible("group");
  await fits("group");

  // A reset: first what would become of it.
  await page.getByRole("button", { name: "Reset offsets …" }).click();
  await page.getByLabel("To", { exact: true }).selectOption("shift");
  await page.getByLabel("Records, negative to go back").fill("4");
  check("nothing is done without a preview", await page.getByRole("button", { name: "Reset", exact: true }).isDisabled());
  await page.getByRole("button", { name: "Preview" }).click();
  await comes("the preview has a row for each partition", () => document.querySelectorAll(".preview tbody tr").length === 2);
  check("it says from and to", (await page.locator(".preview tbody tr").first().textContent()).replace(/\s/g, "").endsWith("04106"));
  await accessible("reset");
  await fits("reset");
  await page.getByRole("button", { name: "Reset 2 partitions" }).click();
  await comes("it is done", () => !document.querySelector("dialog[open]") && /Lag\s*12/.test(document.querySelector(".facts")?.textContent ?? ""));
  await page.getByRole("button", { name: "Reset offsets …" }).click();
  await page.getByLabel("To", { exact: true }).selectOption("exact");
  await page.getByLabel("New offset of carts/1").fill("9");
  await page.getByRole("button", { name: "Preview" }).click();
  await page.getByRole("button", { name: "Reset 2 partitions" }).click();
  await comes("single partitions: 6 and 1 are left", () => !document.querySelector("dialog[open]") && /Lag\s*7/.test(document.querySelector(".facts")?.textContent ?? ""));

  // A threshold
  await page.getByRole("button", { name: "Alarm threshold …" }).click();
  await page.getByLabel("Mark the group").fill("5");
  await page.getByRole("button", { name: "Save" }).click();
  await comes("above the threshold it is marked", () => document.querySelector(".facts .tag.warn"));
  await picture("group");

  // The connection
  await cut();
  await comes("cut off: the page says so and keeps what it had", () => document.querySelector(".stale-note") && document.querySelector(".stale .facts"));
  await reconnect();
  await comes("reconnected: it is live again by itself", () => !document.querySelector(".stale-note") && !document.querySelector(".stale .facts") && document.querySelector(".facts"));
  settled();

  // A group with members
  await page.goto(`${url}/groups`);
  await page.locator('[data-id^="smartlb"] a').first().click();
  await comes("members are listed", () => document.querySelector('section[aria-labelledby="members-h"] tbody tr'));
  await comes("a group with members is not reset", () => [...document.querySelectorAll("button")].some((b) => b.textContent === "Reset offsets …" && b.disabled && /members/.test(b.title)));

  // Deleting
  await page.goto(`${url}/groups/shop`);
  await page.getByRole("button", { name: "Delete …" }).click();
  const go = page.getByRole("button", { name: "Delete", exact: true });
  check("deleting wants the name", await go.isDisabled());
  await page.getByLabel("Type shop to confirm").fill("shop");
  await go.click();
  await comes("it is gone", () => location.pathname === "/groups" && document.querySelector('[data-id^="smartlb"]') && !document.querySelector('[data-id="shop"]'));
  await page.goto(`${url}/groups/shop`);
  await comes("a group that is not there says so", () => document.querySelector(".failure")?.textContent.includes("shop"));
}, { expected: (m) => m.location().url.includes("/groups/shop") }); // a 404 that was asked for
