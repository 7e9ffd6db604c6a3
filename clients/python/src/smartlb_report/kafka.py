"""A Publisher with confluent-kafka: pip install smartlb-report[kafka]."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from confluent_kafka import KafkaException, Producer

from ._reporter import log


@dataclass(frozen=True)
class Stats:
    published: int  # accepted by publish
    delivered: int  # acknowledged by the brokers
    dropped: int  # the queue was full, or the brokers did not answer in time


class KafkaPublisher:
    """Sends messages to Kafka. It connects in the background and never blocks.

    While brokers are unavailable it holds messages up to buffer, each for at most timeout seconds. It drops and counts
    the rest. config has more settings of librdkafka, such as security.protocol.
    """

    def __init__(self, brokers: str, *, buffer: int = 600, timeout: float = 10.0, config: Mapping[str, Any] | None = None) -> None:
        if not brokers:
            raise ValueError("brokers: want host:port,...")
        self._lock = threading.Lock()
        self._published = self._delivered = self._dropped = 0
        self._producer = Producer(
            {
                "bootstrap.servers": brokers,
                "client.id": "smartlb-report",
                "queue.buffering.max.messages": buffer,
                "message.timeout.ms": int(timeout * 1000),
                "linger.ms": 50,
                "partitioner": "murmur2_random",  # as the clients for other languages
                **(config or {}),
            },
            logger=log,
        )

    def publish(self, topic: str, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]], time_ms: int) -> None:
        with self._lock:
            self._published += 1
        try:
            self._producer.produce(topic, value, key, headers=list(headers), timestamp=time_ms, on_delivery=self._done)
        except (BufferError, KafkaException):
            with self._lock:
                self._dropped += 1
        self._producer.poll(0)

    def _done(self, error: Any, _: Any) -> None:
        with self._lock:
            if error is None:
                self._delivered += 1
            else:
                self._dropped += 1

    @property
    def stats(self) -> Stats:
        self._producer.poll(0)
        with self._lock:
            return Stats(self._published, self._delivered, self._dropped)

    def close(self, timeout: float) -> None:
        self._producer.flush(timeout)
        self._producer.purge()
        self._producer.poll(0)
