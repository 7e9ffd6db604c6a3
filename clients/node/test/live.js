// An instance that reports to a broker until SIGTERM; or, without an address, the counts of a publisher whose broker is dead.
import { Reporter } from "smartlb-report";
import { KafkaPublisher } from "smartlb-report/kafka";

const [broker, serviceId, instanceId, address, secret] = process.argv.slice(2);
const publisher = new KafkaPublisher(broker);
if (address === undefined) {
  for (let i = 0; i < 700; i++) publisher.publish({ topic: "service-metrics", key: "k", value: "v", headers: {}, timeMs: Date.now() });
  await publisher.close(1000);
  const { published, delivered, dropped } = publisher.stats;
  console.log(published, delivered, dropped);
  process.exit();
}
const reporter = new Reporter({ serviceId, instanceId, address, publisher, interval: 200, utilization: () => 0.5, signingKey: { id: "live-team", secret } });
reporter.start();
const work = setInterval(() => reporter.observe(20), 20);
process.once("SIGTERM", async () => {
  clearInterval(work);
  await reporter.close();
});
