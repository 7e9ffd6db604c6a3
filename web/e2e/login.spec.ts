// A console with the users "viewer" and "operator", whose passwords are "password-viewer" and "password-operator".
import type { Page } from "@playwright/test";
import { expect, test } from "./console";

test.use({ allowedMessages: /40[13]/ }); // calls without a session or without the role

test.beforeEach(async ({ page }) => {
  await page.goto("/topics");
  await page.getByLabel("User").waitFor();
});

async function login(page: Page, user: string, password: string) {
  await page.getByLabel("User").fill(user);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
}

/** Drains or undrains an instance as the user of the page, and returns the status of the response. */
function override(page: Page, action: "drain" | "undrain") {
  return page.evaluate(async (action) => {
    const response = await fetch("/api/v1/services/user-service/instances/user-service-1/override", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ action }) });
    return response.status;
  }, action);
}

test("shows nothing of the node before a login", async ({ page }) => {
  await expect(page.locator("header.bar"), "a stranger sees nothing of the node").toHaveCount(0);
  await expect(page, "login").toBeAccessible();
  await expect(page, "login").toFitNarrowScreen();
});

test("rejects a wrong password", async ({ page }) => {
  await login(page, "viewer", "guess");
  await expect(page.locator("[role=alert]").first(), "a wrong password is said").toContainText("name or password is wrong");
});

test("lets a viewer look but not change, until the logout", async ({ page }) => {
  await login(page, "viewer", "password-viewer");
  await page.locator("main.topics").waitFor();
  await expect(page, "the page that was asked for is there").toHaveURL((u) => u.pathname === "/topics");
  await expect(page.locator(".session").first(), "the header says who is logged in").toContainText("viewer");
  const cookie = (await page.context().cookies()).find((c) => c.name === "smartlb-session");
  expect(cookie, "no script can read the session").toMatchObject({ httpOnly: true, sameSite: "Lax" });
  expect(await override(page, "drain"), "a viewer cannot drain").toBe(403);
  await page.getByRole("button", { name: /log out/ }).click();
  await expect(page.getByLabel("User"), "after the logout the login is back").toBeVisible();
});

test("lets an operator change", async ({ page }) => {
  await login(page, "operator", "password-operator");
  await page.locator("main.topics").waitFor();
  expect(await override(page, "drain"), "an operator can drain").toBe(200);
  expect(await override(page, "undrain"), "and undo it").toBe(200);
});
