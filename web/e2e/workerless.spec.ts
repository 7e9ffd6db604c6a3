// The page of connectors where no worker of Kafka Connect runs.
import { picture } from "./actions";
import { expect, test } from "./console";

test.use({ allowedMessages: /status of (400|404|409|503)/ }); // the node has no worker to ask

test("says that no worker runs and how to start one", async ({ page }) => {
  await page.goto("/connectors");
  await expect(page.locator("main"), "no worker: it says so").toContainText("nothing listens there");
  await expect(page.locator("main"), "and how to get one").toContainText("smartlb kafka start");
  await expect(page, "without a worker").toBeAccessible({ all: true });
  await expect(page, "without a worker").toFitNarrowScreen();
  await picture(page, "connect-none");
  await expect(page.getByRole("button", { name: "Create …" }), "nothing can be created").toHaveCount(0);
});
