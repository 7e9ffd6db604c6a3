"""What librdkafka's and kafka-python's clients get from a broker, a line a step. See ../README.md."""

import sys
import time


def step(name, what):
    try:
        result = what()
    except Exception as e:  # the name of the error is the result
        result = type(e).__name__
        if e.args and hasattr(e.args[0], "name"):
            result = e.args[0].name()
    print("= %s\t%s" % (name, " ".join(str(result).split())), flush=True)


def librdkafka(broker):
    from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
    from confluent_kafka import admin as a

    base = {"bootstrap.servers": broker, "enable.metrics.push": False}
    adm = a.AdminClient(base)
    one = TopicPartition("r-one", 0)
    values = lambda futures: [f.result(30) for f in futures.values()]
    consumer = lambda **more: Consumer({**base, "auto.offset.reset": "earliest", "enable.auto.commit": False, **more})

    def produce(codec, key="k"):
        got = []
        p = Producer({**base, "compression.type": codec, "message.timeout.ms": 20000})
        p.produce("r-one", key=key, value="v" * 2000, on_delivery=lambda e, m: got.append(e.name() if e else m.offset()))
        p.flush(30)
        return got

    def assign():
        c = consumer(**{"group.id": "r-fresh"})
        c.assign([one])
        got = []
        end = time.time() + 30
        while len(got) < 5 and time.time() < end:
            m = c.poll(0.5)
            if m is not None and not m.error():
                got.append(m.offset())
        c.commit(asynchronous=False)
        got = (got, c.committed([one], 20)[0].offset)
        c.close()
        return got

    step("create a topic", lambda: values(adm.create_topics([a.NewTopic("r-one", 1, 1)])))
    step("create it again", lambda: values(adm.create_topics([a.NewTopic("r-one", 1, 1)])))
    step("node ids", lambda: sorted(adm.list_topics(timeout=20).brokers))
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        step("produce " + codec, lambda: produce(codec))
    step("committed offset of a fresh group", lambda: consumer(**{"group.id": "r-none"}).committed([one], 20)[0].offset)
    step("assign with a fresh group", assign)
    step("group offsets", lambda: [p.offset for p in values(adm.list_consumer_group_offsets([ConsumerGroupTopicPartitions("r-fresh")]))[0].topic_partitions])
    step("describe a group that does not exist", lambda: values(adm.describe_consumer_groups(["r-none"]))[0].state)
    step("delete a group that does not exist", lambda: values(adm.delete_consumer_groups(["r-none"])))
    step("delete a group", lambda: values(adm.delete_consumer_groups(["r-fresh"])))
    step("delete records to the end", lambda: [x.low_watermark for x in values(adm.delete_records([TopicPartition("r-one", 0, -1)]))])
    step("what is left", lambda: consumer(**{"group.id": "r-none"}).get_watermark_offsets(one, 20))
    step("describe a setting", lambda: values(adm.describe_configs([a.ConfigResource("topic", "r-one")]))[0]["max.message.bytes"].value)
    step("describe ACLs", lambda: adm.describe_acls(a.AclBindingFilter(a.ResourceType.ANY, None, a.ResourcePatternType.ANY, None, None, a.AclOperation.ANY, a.AclPermissionType.ANY)).result(30))
    step("describe SCRAM users", lambda: adm.describe_user_scram_credentials().result(30))

    def transact():
        p = Producer({**base, "transactional.id": "r-t"})
        p.init_transactions(30)
        for end in (p.commit_transaction, p.abort_transaction):
            p.begin_transaction()
            p.produce("r-one", value="t")
            p.flush(30)  # what is not sent yet, an abort drops
            end(30)
        # Kafka answers the end of a transaction before its marker is in the log.
        c = consumer(**{"group.id": "r-none"})
        limit = time.time() + 30
        while (got := c.get_watermark_offsets(one, 20))[1] < 9 and time.time() < limit:  # five records before, two here with a marker each
            time.sleep(0.1)
        return got

    step("transactions", transact)


def pure(broker):
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition
    from kafka.admin import KafkaAdminClient, NewTopic

    one = TopicPartition("p-one", 0)
    adm = KafkaAdminClient(bootstrap_servers=broker)
    topic = NewTopic("p-one", num_partitions=1, replication_factor=1)

    def quiet(what):  # answers have another form from release to release
        what()
        return "ok"

    def produce(codec):
        p = KafkaProducer(bootstrap_servers=broker, compression_type=codec)
        got = p.send("p-one", key=b"k", value=b"v" * 2000).get(30).offset
        p.close()
        return got

    def assign():
        c = KafkaConsumer(bootstrap_servers=broker, group_id="p-fresh", enable_auto_commit=False, auto_offset_reset="earliest")
        c.assign([one])
        got = [c.committed(one), c.position(one)]
        end = time.time() + 30
        while c.position(one) < 2 and time.time() < end:
            c.poll(timeout_ms=500)
        c.commit()
        got += [c.position(one), c.committed(one)]
        c.close()
        return got

    step("create a topic", lambda: quiet(lambda: adm.create_topics([topic])))
    step("create it again", lambda: quiet(lambda: adm.create_topics([topic])))
    for codec in (None, "gzip"):
        step("produce %s" % codec, lambda: produce(codec))
    step("assign with a fresh group", assign)
    step("delete a group", lambda: quiet(lambda: adm.delete_groups(["p-fresh"])))
    step("end offsets", lambda: list(KafkaConsumer(bootstrap_servers=broker).end_offsets([one]).values()))
    step("delete a topic", lambda: quiet(lambda: adm.delete_topics(["p-one"])))


{"librdkafka": librdkafka, "kafka-python": pure}[sys.argv[1]](sys.argv[2])
