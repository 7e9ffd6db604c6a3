"""librdkafka's Python client, as a program that knows nothing of smartlb. See ../README.md."""

import json
import sys
import time

from confluent_kafka import Consumer, KafkaException, Producer


def producer(broker, **settings):
    return Producer({"bootstrap.servers": broker, "enable.metrics.push": False, "message.timeout.ms": 30000, **settings})


def data(value):
    return None if value is None else value.encode()


def text(value):
    return None if value is None else value.decode()


def deliver(p):
    failed = []

    def report(err, _):
        if err:
            failed.append(err)

    return report, lambda: (p.flush(30), failed)[1]


def produce(broker, topic, codec):
    p = producer(broker, **{"compression.type": codec, "linger.ms": 20})
    report, finish = deliver(p)
    for line in sys.stdin:
        r = json.loads(line)
        headers = [(k, data(v)) for k, v in (r.get("headers") or {}).items()]
        p.produce(topic, key=data(r.get("key")), value=data(r.get("value")), headers=headers, on_delivery=report)
    failed = finish()
    if failed:
        sys.exit(str(failed[0]))


def consume(broker, topic, group, n):
    c = Consumer({
        "bootstrap.servers": broker, "enable.metrics.push": False, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False,
        "isolation.level": "read_committed", "fetch.message.max.bytes": 11534336, "receive.message.max.bytes": 100000000,
    })
    c.subscribe([topic])
    end, seen = time.time() + 60, 0
    while seen < int(n) and time.time() < end:
        m = c.poll(0.2)
        if m is None:
            continue
        if m.error():
            raise KafkaException(m.error())
        headers = {k: text(v) for k, v in (m.headers() or [])}
        print(json.dumps({"key": text(m.key()), "value": text(m.value()), "headers": headers}))
        seen += 1
    c.commit(asynchronous=False)
    c.close()


def transact(broker, topic):
    p = producer(broker, **{"transactional.id": "foreign-python"})
    p.init_transactions(30)
    for how in ("committed", "aborted", "committed"):
        p.begin_transaction()
        for i in range(3):
            p.produce(topic, key=f"k{i}", value=how)
        p.flush(30)
        p.commit_transaction(30) if how == "committed" else p.abort_transaction(30)


def big(broker, topic, size):
    p = producer(broker, **{"message.max.bytes": 20000000})
    report, finish = deliver(p)
    p.produce(topic, value=b"x" * int(size), on_delivery=report)
    failed = finish()
    print(failed[0].name() if failed else "ok")


if __name__ == "__main__":
    {"produce": produce, "consume": consume, "transact": transact, "big": big}[sys.argv[2]](sys.argv[1], *sys.argv[3:])
