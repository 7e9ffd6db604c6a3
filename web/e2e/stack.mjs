// Brokers, cluster and health on a stack of real ZooKeeper, Kafka and Connect,
// in the console that the stack itself has started.
//
//   node e2e/stack.mjs http://127.0.0.1:8083 [FOLDER for screenshots]
import { drive } from "./browser.mjs";

await drive(async ({ page, url, check, accessible, fits, comes, picture }) => {
  await page.goto(`${url}/cluster`);
  await page.waitForSelector('section[aria-labelledby="brokers-h"] tbody tr');
  const broker = page.locator('section[aria-labelledby="brokers-h"] tbody tr');
  check("cluster: the version is told by what it can do", /Kafka 3\.9, by what it can do/.test(await broker.textContent()), await broker.textContent());
  await comes("cluster: its answering time is measured", () => [...document.querySelectorAll('section[aria-labelledby="brokers-h"] tbody tr td')].filter((d) => /\d ms/.test(d.textContent)).length === 3);
  const beside = await page.locator(".beside").textContent();
  check("cluster: ZooKeeper with mode and latency", /version 3\.8\.\d+ · mode standalone · answered in [\d.]+ ms/.test(beside), beside);
  check("cluster: Connect with its version", /Kafka Connect.*version 3\.9/.test(beside), beside);
  check("cluster: a directory with its disk", (await page.locator(".dirs meter").count()) === 1);
  await page.getByRole("searchbox").fill("zookeeper.connect");
  await comes("cluster: settings of its file", () => /zookeeper\.connect.*its file/s.test(document.querySelector('[aria-labelledby="broker-settings-h"] tbody')?.textContent ?? ""));
  await accessible("cluster of a real Kafka");
  await fits("cluster of a real Kafka");
  await picture("cluster-real");
  await page.goto(`${url}/health`);
  await page.waitForSelector(".checks li");
  const well = await page.locator(".checks.ok").textContent();
  check("health: ZooKeeper, Connect and Java are well", /mode standalone/.test(well) && /version 3\.9/.test(well) && /Java/.test(well), well);
}, { expected: (m) => m.location().url.includes("/api/v1/overview") });
