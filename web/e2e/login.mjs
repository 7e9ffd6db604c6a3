// A console that asks who is there: strangers see a login and nothing else,
// a viewer cannot steer, an operator can.
//
//   node e2e/login.mjs https://127.0.0.1:8083   with the users viewer and operator, password "password-NAME"
import { drive } from "./browser.mjs";

await drive(
  async ({ page, url, check, accessible, fits, comes }) => {
    const login = async (user, password) => {
      await page.getByLabel("User").fill(user);
      await page.getByLabel("Password").fill(password);
      await page.getByRole("button", { name: "Log in" }).click();
    };
    await page.goto(`${url}/topics`);
    await page.getByLabel("User").waitFor();
    check("a stranger sees nothing of the node", (await page.locator("header.bar").count()) === 0);
    await accessible("login");
    await fits("login");
    await login("viewer", "guess");
    await comes("a wrong password is said", () => document.querySelector("[role=alert]")?.textContent.includes("name or password is wrong"));
    await login("viewer", "password-viewer");
    await page.waitForSelector("main.topics");
    await comes("the page that was asked for is there", () => location.pathname === "/topics");
    await comes("the header says who is logged in", () => document.querySelector(".session")?.textContent.includes("viewer"));
    const cookie = (await page.context().cookies()).find((c) => c.name === "smartlb-session");
    check("the session is no script's business", cookie?.httpOnly === true && cookie.sameSite === "Lax");
    const drain = (body) =>
      page.evaluate(async (b) => (await fetch("/api/v1/services/user-service/instances/user-service-1/override", { method: "POST", headers: { "Content-Type": "application/json" }, body: b })).status, body);
    check("a viewer cannot drain", (await drain('{"action":"drain"}')) === 403);
    await page.getByRole("button", { name: /log out/ }).click();
    await page.getByLabel("User").waitFor();
    check("after the logout the login is back", true);
    await login("operator", "password-operator");
    await page.waitForSelector("main.topics");
    check("an operator can drain", (await drain('{"action":"drain"}')) === 200);
    check("and undo it", (await drain('{"action":"undrain"}')) === 200);
  },
  { expected: (m) => /40[13]/.test(m.text()) },
);
