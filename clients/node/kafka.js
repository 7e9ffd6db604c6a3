import { Kafka, logLevel } from "kafkajs";

/** A Publisher with kafkajs. See kafka.d.ts. */
export class KafkaPublisher {
  stats = { published: 0, delivered: 0, dropped: 0 };
  #buffer;
  #timeout;
  #producer;
  #connected;
  #waiting = new Set();
  #closed = false;

  constructor(brokers, { buffer = 600, timeout = 10_000, ...more } = {}) {
    const list = typeof brokers === "string" ? brokers.split(",") : [...(brokers ?? [])];
    if (list.length === 0 || list.some((b) => !b)) throw new TypeError("brokers: want host:port,...");
    this.#buffer = buffer;
    this.#timeout = timeout;
    this.#producer = new Kafka({ clientId: "smartlb-report", brokers: list, logLevel: logLevel.NOTHING, connectionTimeout: 3000, ...more }).producer({ retry: { retries: 3 } });
  }

  publish({ topic, key, value, headers, timeMs }) {
    this.stats.published++;
    if (this.#closed || this.#waiting.size >= this.#buffer) {
      this.stats.dropped++;
      return;
    }
    const sent = this.#send({ topic, acks: -1, timeout: this.#timeout, messages: [{ key, value, headers, timestamp: String(timeMs) }] }, timeMs).then(
      () => this.stats.delivered++,
      () => this.stats.dropped++,
    );
    this.#waiting.add(sent);
    sent.finally(() => this.#waiting.delete(sent));
  }

  async #send(batch, timeMs) {
    this.#connected ??= this.#producer.connect();
    try {
      await this.#connected;
    } catch (error) {
      this.#connected = undefined; // the next message tries again
      throw error;
    }
    if (Date.now() - timeMs > this.#timeout) throw new Error("too old");
    await this.#producer.send(batch);
  }

  async close(timeout) {
    this.#closed = true;
    let timer;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, timeout);
    });
    await Promise.race([Promise.allSettled([...this.#waiting]), late]);
    await Promise.race([this.#producer.disconnect().catch(() => {}), late]);
    clearTimeout(timer);
  }
}
