// What stands beside the brokers, in the console of a real stack: ZooKeeper,
// Kafka 3.9 and Connect. The second argument is the version of Kafka.
//
//   node e2e/stack.mjs http://127.0.0.1:8083 "" 3.9
import { drive } from "./browser.mjs";

const version = process.argv[4];

await drive(async ({ page, url, check, accessible, steady, fits, comes, picture }) => {
  const beside = () => document.querySelector(".beside")?.textContent ?? "";
  await page.goto(`${url}/cluster`);
  await page.waitForSelector('section[aria-labelledby="brokers-h"] tbody tr');
  const broker = await page.locator('section[aria-labelledby="brokers-h"] tbody tr').first().textContent();
  check("the broker's version is known", broker.includes(version), broker);
  await comes("ZooKeeper: mode and latency", () => /ZooKeeper.*mode standalone/s.test(document.querySelector(".beside")?.textContent ?? "") && /\d ms/.test(document.querySelector(".beside")?.textContent ?? ""));
  check("Connect: a worker", /Connect/.test(await page.evaluate(beside)) && !/none is known/.test(await page.evaluate(beside)), await page.evaluate(beside));
  await comes("the log directories have a size", () => /[KM]iB/.test(document.querySelector('section[aria-labelledby="brokers-h"]')?.textContent ?? ""));
  await steady("cluster of a real stack");
  await accessible("cluster of a real stack");
  await fits("cluster of a real stack");
  await picture("cluster-real");

  await page.goto(`${url}/health`);
  await page.waitForSelector(".health h2");
  await comes("health: ZooKeeper, Kafka, Connect and the topics are well", () => {
    const text = document.querySelector("main")?.textContent ?? "";
    return /ZooKeeper/i.test(text) && /Connect/.test(text) && !/Problems/.test(text);
  });
  await accessible("health of a real stack");
  await picture("health-real");
});
