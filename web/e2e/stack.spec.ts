// Brokers, cluster and health on a stack of real ZooKeeper, Kafka and Connect, in the console that the stack has started.
import type { Page } from "@playwright/test";
import { picture } from "./actions";
import { expect, test } from "./console";

test.use({ allowedMessages: /\/api\/v1\/overview/ }); // there is no proxy to ask

/** The first element of a selector has a text that matches all patterns. */
async function says(page: Page, what: string, selector: string, ...patterns: RegExp[]) {
  for (const p of patterns) await expect(page.locator(selector).first(), what).toContainText(p);
}

test("shows brokers, ZooKeeper and Connect", async ({ page }) => {
  await page.goto("/cluster");
  await says(page, "cluster: the version is estimated", 'section[aria-labelledby="brokers-h"] tbody tr', /Kafka 3\.9, estimated from its API versions/s);
  await expect(page, "cluster: its answering time is measured").toSatisfy(() => [...document.querySelectorAll('section[aria-labelledby="brokers-h"] tbody tr td')].filter((d) => /\d m?s/.test(d.textContent)).length === 3);
  await says(page, "cluster: ZooKeeper with mode and latency", ".beside", /version 3\.8\.\d+ · mode standalone · answered in [\d.]+ m?s/s);
  await says(page, "cluster: Connect with its version", ".beside", /Kafka Connect.*version 3\.9/s);
  await expect(page.locator(".dirs meter"), "cluster: a directory with its disk").toHaveCount(1);
  await page.getByRole("searchbox").fill("zookeeper.connect");
  await expect(page.locator('[aria-labelledby="broker-settings-h"] tbody').first(), "cluster: settings of its file").toContainText(/zookeeper\.connect.*its file/s);
  await expect(page, "cluster of a real Kafka").toBeAccessible();
  await expect(page, "cluster of a real Kafka").toFitNarrowScreen();
  await picture(page, "cluster-real");
});

test("shows that ZooKeeper, Connect and Java are healthy", async ({ page }) => {
  await page.goto("/health");
  await says(page, "health: ZooKeeper, Connect and Java are well", ".checks.ok", /mode standalone/s, /version 3\.9/s, /Java/s);
});
