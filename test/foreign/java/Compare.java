import java.time.Duration;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.resource.*;

/** What Apache's client gets from a broker, a line a step. See ../README.md. */
public class Compare {
    static String broker;
    static Admin admin;

    public static void main(String[] a) throws Exception {
        broker = a[0];
        try (Admin made = Admin.create(properties("request.timeout.ms", "10000", "default.api.timeout.ms", "20000"))) {
            admin = made;
            topics();
            configs();
            records();
            groups();
            transactions();
            security();
            rest();
        }
    }

    static void step(String name, Callable<Object> what) {
        String result;
        try {
            result = String.valueOf(what.call());
        } catch (ExecutionException e) {
            result = e.getCause().getClass().getSimpleName();
        } catch (Exception e) {
            result = e.getClass().getSimpleName();
        }
        System.out.println("= " + name + "\t" + result.replaceAll("\\s+", " "));
    }

    /** Nodes learn of changes a moment later: asks until the answer fits, 20 s at most. */
    static Object until(Callable<Object> what, String part) throws Exception {
        for (long end = System.currentTimeMillis() + 20000; ; Thread.sleep(100)) {
            Object got = what.call();
            if (String.valueOf(got).contains(part) || System.currentTimeMillis() > end) return got;
        }
    }

    static Properties properties(String... settings) {
        Properties p = new Properties();
        p.put("bootstrap.servers", broker);
        for (int i = 0; i < settings.length; i += 2) p.put(settings[i], settings[i + 1]);
        return p;
    }

    static KafkaProducer<String, String> producer(String... settings) {
        Properties p = properties(settings);
        p.put("key.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        p.put("value.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        p.put("max.block.ms", "20000");
        return new KafkaProducer<>(p);
    }

    static KafkaConsumer<String, String> consumer(String... settings) {
        Properties p = properties(settings);
        p.put("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        p.put("value.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        p.put("default.api.timeout.ms", "20000");
        p.put("auto.offset.reset", "earliest");
        p.put("enable.auto.commit", "false");
        return new KafkaConsumer<>(p);
    }

    static ConfigResource resource(String topic) { return new ConfigResource(ConfigResource.Type.TOPIC, topic); }

    static Object create(NewTopic t) throws Exception { admin.createTopics(List.of(t)).all().get(); return "ok"; }

    static void topics() {
        step("node ids", () -> admin.describeCluster().nodes().get().stream().map(n -> n.id()).sorted().toList());
        step("controller id", () -> admin.describeCluster().controller().get().id());
        step("cluster operations unless asked for", () -> admin.describeCluster().authorizedOperations().get());
        step("create a topic", () -> create(new NewTopic("j-one", 3, (short) 1)));
        step("create it again", () -> create(new NewTopic("j-one", 3, (short) 1)));
        step("create with defaults", () -> {
            var r = admin.createTopics(List.of(new NewTopic("j-defaults", Optional.empty(), Optional.empty())));
            return r.numPartitions("j-defaults").get() + " " + r.replicationFactor("j-defaults").get();
        });
        step("create with three replicas", () -> create(new NewTopic("j-bad-0", 1, (short) 3)));
        step("create with no partitions", () -> create(new NewTopic("j-bad-1", 0, (short) 1)));
        step("create with a name that is not allowed", () -> create(new NewTopic("j/bad", 1, (short) 1)));
        step("create on a broker that does not exist", () -> create(new NewTopic("j-bad-2", Map.of(0, List.of(99)))));
        step("create with a setting that does not exist", () -> create(new NewTopic("j-bad-3", 1, (short) 1).configs(Map.of("no.such", "1"))));
        step("create with a value that is not allowed", () -> create(new NewTopic("j-bad-4", 1, (short) 1).configs(Map.of("cleanup.policy", "shred"))));
        step("describe a topic", () -> until(() -> admin.describeTopics(List.of("j-one")).allTopicNames().get().get("j-one").partitions().stream()
            .map(p -> p.partition() + ":" + (p.leader() != null) + ":" + p.replicas().size() + ":" + p.isr().size()).toList(), "2:true"));
        step("describe a topic that does not exist", () -> admin.describeTopics(List.of("j-none")).allTopicNames().get());
        step("add partitions", () -> { admin.createPartitions(Map.of("j-one", NewPartitions.increaseTo(4))).all().get(); return "ok"; });
        step("take partitions away", () -> { admin.createPartitions(Map.of("j-one", NewPartitions.increaseTo(2))).all().get(); return "ok"; });
        step("delete a topic that does not exist", () -> { admin.deleteTopics(List.of("j-none")).all().get(); return "ok"; });
        step("delete a topic", () -> { admin.deleteTopics(List.of("j-defaults")).all().get(); return "ok"; });
    }

    static Object value(String topic, String key) throws Exception {
        ConfigEntry e = admin.describeConfigs(List.of(resource(topic))).all().get().get(resource(topic)).get(key);
        return e == null ? "not there" : e.value() + " " + e.source() + " " + e.isReadOnly() + " " + e.isSensitive();
    }

    static Object alter(String topic, AlterConfigOp.OpType op, String key, String value) throws Exception {
        admin.incrementalAlterConfigs(Map.of(resource(topic), List.of(new AlterConfigOp(new ConfigEntry(key, value), op)))).all().get();
        return "ok";
    }

    static void configs() {
        for (String key : List.of("max.message.bytes", "segment.bytes", "retention.ms", "retention.bytes", "cleanup.policy", "compression.type", "min.insync.replicas",
                "message.timestamp.type", "segment.ms", "delete.retention.ms", "unclean.leader.election.enable", "index.interval.bytes", "flush.ms")) {
            step("setting " + key, () -> value("j-one", key));
        }
        step("set", () -> alter("j-one", AlterConfigOp.OpType.SET, "retention.ms", "1000000"));
        step("what was set", () -> until(() -> value("j-one", "retention.ms"), "DYNAMIC"));
        step("append", () -> alter("j-one", AlterConfigOp.OpType.APPEND, "cleanup.policy", "compact"));
        step("what was appended", () -> until(() -> value("j-one", "cleanup.policy"), "DYNAMIC"));
        step("append to what is no list", () -> alter("j-one", AlterConfigOp.OpType.APPEND, "retention.ms", "1"));
        step("delete settings", () -> { alter("j-one", AlterConfigOp.OpType.DELETE, "cleanup.policy", ""); return alter("j-one", AlterConfigOp.OpType.DELETE, "retention.ms", ""); });
        step("after that", () -> until(() -> value("j-one", "retention.ms"), "DEFAULT"));
        step("set what does not exist", () -> alter("j-one", AlterConfigOp.OpType.SET, "no.such", "1"));
        step("set what is not allowed", () -> alter("j-one", AlterConfigOp.OpType.SET, "retention.ms", "soon"));
        step("settings of a topic that does not exist", () -> value("j-none", "retention.ms"));
    }

    static void records() {
        TopicPartition one = new TopicPartition("j-records", 0);
        step("create for records", () -> create(new NewTopic("j-records", 1, (short) 1)));
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            step("produce " + codec, () -> { try (var p = producer("compression.type", codec)) { return p.send(new ProducerRecord<>("j-records", "k", "v".repeat(2000))).get().offset(); } });
        }
        step("produce to a partition that does not exist", () -> { try (var p = producer("max.block.ms", "3000")) { return p.send(new ProducerRecord<>("j-records", 7, "k", "v")).get().offset(); } });
        step("assign with a fresh group", () -> { try (var c = consumer("group.id", "j-fresh")) { c.assign(List.of(one)); return c.position(one) + " " + c.committed(Set.of(one)).get(one); } });
        step("consume", () -> { try (var c = consumer("group.id", "j-fresh")) {
            c.assign(List.of(one));
            int n = 0;
            for (long end = System.currentTimeMillis() + 30000; n < 5 && System.currentTimeMillis() < end; ) n += c.poll(Duration.ofMillis(500)).count();
            c.commitSync();
            return n + " " + c.committed(Set.of(one)).get(one).offset();
        } });
        step("offsets by time", () -> { try (var c = consumer()) { return c.offsetsForTimes(Map.of(one, 0L)).get(one).offset() + " " + c.offsetsForTimes(Map.of(one, Long.MAX_VALUE)).get(one); } });
        step("latest offset by its time", () -> admin.listOffsets(Map.of(one, OffsetSpec.maxTimestamp())).all().get().get(one).offset());
        step("delete records", () -> admin.deleteRecords(Map.of(one, RecordsToDelete.beforeOffset(2))).lowWatermarks().get(one).get().lowWatermark());
        step("delete records to the end", () -> admin.deleteRecords(Map.of(one, RecordsToDelete.beforeOffset(-1))).lowWatermarks().get(one).get().lowWatermark());
        step("what is left", () -> { try (var c = consumer()) { return c.beginningOffsets(List.of(one)).get(one) + " " + c.endOffsets(List.of(one)).get(one); } });
        step("delete records behind the end", () -> admin.deleteRecords(Map.of(one, RecordsToDelete.beforeOffset(99))).lowWatermarks().get(one).get().lowWatermark());
        step("create a compacted topic", () -> create(new NewTopic("j-compact", 1, (short) 1).configs(Map.of("cleanup.policy", "compact"))));
        step("a compacted topic without a key", () -> { try (var p = producer()) { return p.send(new ProducerRecord<>("j-compact", null, "v")).get().offset(); } });
        step("a compacted topic with a key", () -> { try (var p = producer()) { return p.send(new ProducerRecord<>("j-compact", "k", "v")).get().offset(); } });
        step("a record that is too large", () -> {
            create(new NewTopic("j-small", 1, (short) 1).configs(Map.of("max.message.bytes", "1000")));
            try (var p = producer()) { return p.send(new ProducerRecord<>("j-small", "k", "v".repeat(5000))).get().offset(); } });
    }

    static void groups() {
        TopicPartition one = new TopicPartition("j-one", 0);
        step("offsets of a group that does not exist", () -> admin.listConsumerGroupOffsets("j-nobody").partitionsToOffsetAndMetadata().get());
        step("describe a group that does not exist", () -> admin.describeConsumerGroups(List.of("j-nobody")).all().get().get("j-nobody").state());
        step("delete a group that does not exist", () -> { admin.deleteConsumerGroups(List.of("j-nobody")).all().get(); return "ok"; });
        for (String protocol : List.of("classic", "consumer")) {
            String group = "j-" + protocol;
            step("subscribe, " + protocol, () -> { try (var c = consumer("group.id", group, "group.protocol", protocol)) {
                c.subscribe(List.of("j-one"));
                for (long end = System.currentTimeMillis() + 30000; c.assignment().isEmpty() && System.currentTimeMillis() < end; ) c.poll(Duration.ofMillis(200));
                c.commitSync(Map.of(one, new OffsetAndMetadata(0, "words")));
                until(() -> admin.describeConsumerGroups(List.of(group)).all().get().get(group).state(), "Stable");
                var g = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
                Object busy;
                try { admin.deleteConsumerGroups(List.of(group)).all().get(); busy = "deleted"; } catch (ExecutionException e) { busy = e.getCause().getClass().getSimpleName(); }
                return c.assignment().size() + " " + g.state() + " " + g.members().size() + " " + g.type() + " " + busy;
            } });
            step("offsets, " + protocol, () -> admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().values().stream().map(o -> o.offset() + o.metadata()).toList());
        }
        step("list groups", () -> admin.listConsumerGroups().all().get().stream().filter(g -> g.groupId().startsWith("j-")).map(g -> g.groupId() + ":" + g.state().orElse(null)).sorted().toList());
        step("alter offsets", () -> { admin.alterConsumerGroupOffsets("j-classic", Map.of(one, new OffsetAndMetadata(0))).all().get(); return "ok"; });
        step("alter offsets of a partition that does not exist", () -> { admin.alterConsumerGroupOffsets("j-classic", Map.of(new TopicPartition("j-none", 0), new OffsetAndMetadata(0))).all().get(); return "ok"; });
        step("delete offsets", () -> { admin.deleteConsumerGroupOffsets("j-classic", Set.of(one)).all().get(); return "ok"; });
        step("delete a group", () -> { admin.deleteConsumerGroups(List.of("j-classic")).all().get(); return "ok"; });
        step("offsets after that", () -> admin.listConsumerGroupOffsets("j-classic").partitionsToOffsetAndMetadata().get());
        step("remove members of an empty group", () -> { admin.removeMembersFromConsumerGroup("j-fresh", new RemoveMembersFromConsumerGroupOptions()).all().get(); return "ok"; });
    }

    static void transactions() {
        TopicPartition one = new TopicPartition("j-transactions", 0);
        step("create for transactions", () -> create(new NewTopic("j-transactions", 1, (short) 1)));
        step("commit and abort", () -> { try (var p = producer("transactional.id", "j-t")) {
            p.initTransactions();
            p.beginTransaction(); p.send(new ProducerRecord<>("j-transactions", "a", "1")).get(); p.commitTransaction();
            p.beginTransaction(); p.send(new ProducerRecord<>("j-transactions", "b", "2")).get(); p.abortTransaction();
            return "ok";
        } });
        for (String level : List.of("read_committed", "read_uncommitted")) {
            step(level, () -> { try (var c = consumer("isolation.level", level)) {
                c.assign(List.of(one));
                StringBuilder keys = new StringBuilder();
                for (long end = System.currentTimeMillis() + 30000; c.position(one) < 4 && System.currentTimeMillis() < end; ) for (var r : c.poll(Duration.ofMillis(300))) keys.append(r.key());
                return keys + " " + c.position(one);
            } });
        }
        step("list transactions", () -> until(() -> admin.listTransactions().all().get().stream().filter(t -> t.transactionalId().equals("j-t")).map(t -> t.state().toString()).toList(), "Complete"));
        step("describe a transaction", () -> admin.describeTransactions(List.of("j-t")).all().get().get("j-t").state());
        step("describe a transaction that does not exist", () -> admin.describeTransactions(List.of("j-none")).all().get());
        step("describe producers", () -> admin.describeProducers(List.of(one)).all().get().get(one).activeProducers().size());
        step("a second producer fences the first", () -> { try (var p = producer("transactional.id", "j-f"); var q = producer("transactional.id", "j-f")) {
            p.initTransactions(); q.initTransactions();
            p.beginTransaction(); p.send(new ProducerRecord<>("j-transactions", "c", "3")).get();
            return "not fenced";
        } });
        step("offsets in a transaction", () -> { try (var p = producer("transactional.id", "j-o"); var c = consumer("group.id", "j-og")) {
            c.subscribe(List.of("j-transactions"));
            for (long end = System.currentTimeMillis() + 30000; c.assignment().isEmpty() && System.currentTimeMillis() < end; ) c.poll(Duration.ofMillis(200));
            p.initTransactions(); p.beginTransaction();
            p.sendOffsetsToTransaction(Map.of(one, new OffsetAndMetadata(1)), c.groupMetadata());
            p.commitTransaction();
            // The first committed() may take the answer to a request of the last poll(), from before the transaction: it reuses a
            // request of the same partitions that was not answered when poll() ended. Against every broker, so the step asks again.
            return until(() -> c.committed(Set.of(one)).get(one), "offset=1").toString().contains("offset=1");
        } });
    }

    static void security() {
        AclBinding rule = new AclBinding(new ResourcePattern(ResourceType.TOPIC, "j-one", PatternType.LITERAL), new AccessControlEntry("User:x", "*", AclOperation.READ, AclPermissionType.ALLOW));
        step("describe ACLs", () -> admin.describeAcls(AclBindingFilter.ANY).values().get());
        step("create an ACL", () -> { admin.createAcls(List.of(rule)).all().get(); return "ok"; });
        step("delete ACLs", () -> admin.deleteAcls(List.of(rule.toFilter())).all().get());
        step("describe SCRAM users", () -> admin.describeUserScramCredentials().all().get());
        step("describe delegation tokens", () -> admin.describeDelegationToken().delegationTokens().get());
        step("create a delegation token", () -> { admin.createDelegationToken().delegationToken().get(); return "ok"; });
        step("describe quotas", () -> admin.describeClientQuotas(ClientQuotaFilter.all()).entities().get());
    }

    static void rest() {
        step("log folders", () -> {
            int node = admin.describeCluster().nodes().get().iterator().next().id();
            return admin.describeLogDirs(List.of(node)).allDescriptions().get().get(node).size();
        });
        step("reassignments", () -> admin.listPartitionReassignments().reassignments().get());
        step("reassign to a broker that does not exist", () -> {
            admin.alterPartitionReassignments(Map.of(new TopicPartition("j-one", 0), Optional.of(new NewPartitionReassignment(List.of(99))))).all().get();
            return "ok";
        });
        step("elect leaders that are elected", () -> { admin.electLeaders(ElectionType.PREFERRED, Set.of(new TopicPartition("j-one", 0))).all().get(); return "ok"; });
        step("quorum", () -> admin.describeMetadataQuorum().quorumInfo().get().voters().size());
        step("unregister a broker", () -> { admin.unregisterBroker(99).all().get(); return "ok"; });
        step("client metrics", () -> admin.listClientMetricsResources().all().get());
    }
}
