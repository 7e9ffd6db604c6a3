import type { KafkaConfig } from "kafkajs";
import type { Message, Publisher } from "./index.js";

export interface KafkaOptions extends Partial<Omit<KafkaConfig, "brokers">> {
  /** Messages held while they cannot be delivered; more are dropped. Default 600. */
  buffer?: number;
  /** Milliseconds after which a message is not sent any more. Default 10000. */
  timeout?: number;
}

/** Sends messages to Kafka. It connects in the background and never blocks. */
export class KafkaPublisher implements Publisher {
  /** brokers is host:port, with commas between several, or a list. */
  constructor(brokers: string | string[], options?: KafkaOptions);
  readonly stats: { published: number; delivered: number; dropped: number };
  publish(message: Message): void;
  close(timeout: number): Promise<void>;
}
