import type { IncomingMessage, ServerResponse } from "node:http";

export type Status = "HEALTHY" | "DEGRADED" | "UNHEALTHY" | "DRAINING";

export interface Message {
  topic: string;
  key: string;
  value: string;
  headers: Record<string, Buffer>;
  timeMs: number;
}

/** Sends messages. publish must neither block nor throw. */
export interface Publisher {
  publish(message: Message): void;
  /** Delivers what is queued within timeout milliseconds, and drops the rest. */
  close?(timeout: number): Promise<void>;
}

export interface Settings {
  serviceId: string;
  instanceId: string;
  publisher: Publisher;
  /** host:port at which the instance takes requests: with it, the instance registers itself where a service permits that. */
  address?: string;
  tags?: Record<string, string>;
  /** Shortest time between two reports in milliseconds, 100 to 60000, up to a tenth shorter or longer. Default 1000. */
  interval?: number;
  /**
   * Longest time between two reports, up to 60000: while load, errors and usage do not change, the pause doubles up to it.
   * Default 30000, or interval if that is longer.
   */
  steady?: number;
  /** Says how busy the service is, 0 to 1. */
  utilization?: () => number;
  /** Replaces the count of requests in progress. */
  inFlight?: () => number;
  /** Adds CPU and memory of the process. Default true. */
  usage?: boolean;
  /** Signs the messages. It is a key of signing.reporters or signing.keys of the nodes; its secret has at least 32 characters. */
  signingKey?: { id: string; secret: string };
}

/** Counts requests and publishes reports. */
export class Reporter {
  /** Checks the settings and throws TypeError if one is wrong. Nothing is sent before start. */
  constructor(settings: Settings);
  start(): void;
  /** Says goodbye, delivers what is queued within timeout milliseconds, and closes the publisher. */
  close(timeout?: number): Promise<void>;
  /** Counts one request that ended. */
  observe(ms: number, failed?: boolean): void;
  /** Counts a request in progress, until the returned function is called. */
  request(): (failed?: boolean) => void;
  /** Counts the requests of a server: `http.createServer((req, res) => count(req, res, () => handle(req, res)))`, or Express. */
  middleware(): (req: IncomingMessage, res: ServerResponse, next?: () => void) => void;
  /**
   * Sends a status on health-status. It is repeated until another status is sent. DRAINING pauses the instance: it gets no
   * new requests. HEALTHY ends that.
   */
  status(status: Status): void;
}
