// What kafkajs gets from a broker, a line a step. See ../README.md.
const { Kafka, logLevel, CompressionTypes, ConfigResourceTypes, AclResourceTypes, AclOperationTypes, AclPermissionTypes, ResourcePatternTypes } = require("kafkajs");

const kafka = new Kafka({ brokers: [process.argv[2]], logLevel: logLevel.NOTHING, retry: { retries: 5 } });
const admin = kafka.admin();

async function step(name, what) {
  let result;
  try {
    result = JSON.stringify(await what());
  } catch (e) {
    result = (e.errors?.[0] ?? e).type ?? e.cause?.type ?? e.name;
  }
  console.log(`= ${name}\t${result}`);
}

async function produce(settings, message, compression) {
  const p = kafka.producer(settings);
  await p.connect();
  try {
    return (await p.send({ topic: "n-one", compression, messages: [message] })).map((r) => r.baseOffset);
  } finally {
    await p.disconnect();
  }
}

async function consume() {
  const c = kafka.consumer({ groupId: "n-fresh", maxWaitTimeInMs: 500 });
  await c.connect();
  await c.subscribe({ topic: "n-one", fromBeginning: true });
  const offsets = [];
  const end = Date.now() + 30_000;
  await c.run({ autoCommit: false, eachMessage: async ({ message }) => void offsets.push(message.offset) });
  while (offsets.length < 2 && Date.now() < end) await new Promise((r) => setTimeout(r, 100));
  await c.commitOffsets([{ topic: "n-one", partition: 0, offset: "2" }]);
  await c.disconnect();
  return offsets;
}

async function transact() {
  const p = kafka.producer({ transactionalId: "n-t", maxInFlightRequests: 1, idempotent: true });
  await p.connect();
  for (const end of ["commit", "abort"]) {
    const t = await p.transaction();
    await t.send({ topic: "n-one", messages: [{ key: "k", value: end }] });
    await t[end]();
  }
  await p.disconnect();
  // Kafka answers the end of a transaction before its marker is in the log.
  let got;
  for (const limit = Date.now() + 30_000; Date.now() < limit; await new Promise((r) => setTimeout(r, 100))) {
    got = await admin.fetchTopicOffsets("n-one");
    if (got[0].offset === "6") break; // two records before, two here with a marker each
  }
  return got;
}

async function main() {
  await admin.connect();
  await step("node ids", async () => (await admin.describeCluster()).brokers.map((b) => b.nodeId));
  await step("create a topic", () => admin.createTopics({ topics: [{ topic: "n-one", numPartitions: 1, replicationFactor: 1 }] }));
  await step("create it again", () => admin.createTopics({ topics: [{ topic: "n-one", numPartitions: 1, replicationFactor: 1 }] }));
  await step("create with defaults", () => admin.createTopics({ topics: [{ topic: "n-defaults" }] }));
  await step("produce none", () => produce({}, { key: "k", value: "v".repeat(2000) }, CompressionTypes.None));
  await step("produce gzip", () => produce({}, { key: "k", value: "v".repeat(2000) }, CompressionTypes.GZIP));
  await step("offsets of a fresh group", () => admin.fetchOffsets({ groupId: "n-none", topics: ["n-one"] }));
  await step("consume as a group", consume);
  await step("group offsets", () => admin.fetchOffsets({ groupId: "n-fresh", topics: ["n-one"] }));
  await step("delete a group that does not exist", () => admin.deleteGroups(["n-none"]));
  await step("delete a group", () => admin.deleteGroups(["n-fresh"]));
  await step("transactions", transact);
  await step("delete records to the end", () => admin.deleteTopicRecords({ topic: "n-one", partitions: [{ partition: 0, offset: "-1" }] }));
  await step("what is left", () => admin.fetchTopicOffsets("n-one"));
  await step("describe a setting", async () => {
    const got = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type: ConfigResourceTypes.TOPIC, name: "n-one", configNames: ["max.message.bytes"] }] });
    return got.resources[0].configEntries.map((e) => [e.configName, e.configValue]);
  });
  await step("describe ACLs", () =>
    admin.describeAcls({ resourceType: AclResourceTypes.ANY, resourcePatternType: ResourcePatternTypes.ANY, operation: AclOperationTypes.ANY, permissionType: AclPermissionTypes.ANY }),
  );
  await step("delete a topic", () => admin.deleteTopics({ topics: ["n-one"] }));
  await admin.disconnect();
}

main();
