// Brokers, cluster and health on a stack of real ZooKeeper, Kafka and Connect,
// in the console that the stack itself has started.
//
//   node e2e/stack.mjs http://127.0.0.1:8083 [FOLDER for screenshots]
import { drive } from "./browser.mjs";

await drive(async ({ page, url, accessible, fits, comes, picture }) => {
  const said = (what, selector, ...patterns) => comes(what, ([selector, patterns]) => patterns.every((p) => new RegExp(p, "s").test(document.querySelector(selector)?.textContent ?? "")), [selector, patterns]);
  await page.goto(`${url}/cluster`);
  await said("cluster: the version is estimated", 'section[aria-labelledby="brokers-h"] tbody tr', "Kafka 3\\.9, estimated from its API versions");
  await comes("cluster: its answering time is measured", () => [...document.querySelectorAll('section[aria-labelledby="brokers-h"] tbody tr td')].filter((d) => /\d m?s/.test(d.textContent)).length === 3);
  await said("cluster: ZooKeeper with mode and latency", ".beside", "version 3\\.8\\.\\d+ · mode standalone · answered in [\\d.]+ m?s");
  await said("cluster: Connect with its version", ".beside", "Kafka Connect.*version 3\\.9");
  await comes("cluster: a directory with its disk", () => document.querySelectorAll(".dirs meter").length === 1);
  await page.getByRole("searchbox").fill("zookeeper.connect");
  await comes("cluster: settings of its file", () => /zookeeper\.connect.*its file/s.test(document.querySelector('[aria-labelledby="broker-settings-h"] tbody')?.textContent ?? ""));
  await accessible("cluster of a real Kafka");
  await fits("cluster of a real Kafka");
  await picture("cluster-real");
  await page.goto(`${url}/health`);
  await said("health: ZooKeeper, Connect and Java are well", ".checks.ok", "mode standalone", "version 3\\.9", "Java");
}, { expected: (m) => m.location().url.includes("/api/v1/overview") });
