import { type Connection, openSource, type SourceOptions } from "./source";

/**
 * The streams of all windows of one browser, in a shared worker. A browser gives one host six connections (HTTP/1.1).
 * If each window had its own stream, the sixth window could not load anything. The hub opens one stream for all windows
 * that need it, and at most `most` in all, so that two connections remain for calls.
 */

/** A message from a window. Each window has its own ids of streams. */
export type ToHub =
  | { do: "open"; id: number; url: string; names: string[]; silence: number; /** Each window needs the first event. */ whole: boolean; /** Never rests. */ first: boolean }
  | { do: "close"; id: number }
  | { do: "focus" } // the user is in this window
  | { do: "alive" } // every few seconds: a window that ends cannot send a message
  | { do: "end" };

/** A message to a window: hello first, then the state and the events of its streams. */
export type FromHub = { hello: true } | { id: number; connection: Connection } | { id: number; name: string; data: string };

export interface Port {
  send: (m: FromHub) => void;
}

interface Want {
  id: number;
  port: Port;
  url: string;
  first: boolean;
}

interface Stream {
  o: SourceOptions;
  connection: Connection;
  /** Ends the connection; null while it rests. */
  stop: (() => void) | null;
}

export const most = 4;
export const aliveEvery = 5_000; // ms
const forgetAfter = 20_000; // ms of a window's silence

export class Hub {
  private wants: Want[] = [];
  private streams = new Map<string, Stream>();
  private used = new Map<Port, number>(); // when the user was last in a window; larger is later
  private heard = new Map<Port, number>();
  private turn = 0;

  constructor(
    private open: (o: SourceOptions) => () => void = openSource,
    private now: () => number = Date.now,
  ) {}

  join(port: Port): void {
    this.used.set(port, ++this.turn);
    this.heard.set(port, this.now());
    port.send({ hello: true });
  }

  take(port: Port, m: ToHub): void {
    if (!this.used.has(port)) {
      if (m.do === "end") return;
      this.join(port); // it was forgotten, but is still open
    }
    this.heard.set(port, this.now());
    switch (m.do) {
      case "open":
        this.want(port, m);
        break;
      case "close":
        this.wants = this.wants.filter((w) => w.port !== port || w.id !== m.id);
        break;
      case "focus":
        this.used.set(port, ++this.turn);
        break;
      case "alive":
        return;
      case "end":
        this.drop(port);
        break;
    }
    this.settle();
  }

  /** Forgets windows that have been silent for too long. */
  sweep(): void {
    for (const [port, at] of this.heard) if (this.now() - at > forgetAfter) this.drop(port);
    this.settle();
  }

  private drop(port: Port): void {
    this.wants = this.wants.filter((w) => w.port !== port);
    this.used.delete(port);
    this.heard.delete(port);
  }

  private want(port: Port, m: ToHub & { do: "open" }): void {
    this.wants.push({ id: m.id, port, url: m.url, first: m.first });
    const had = this.streams.get(m.url);
    if (!had) {
      const o: SourceOptions = { url: m.url, names: m.names, silence: m.silence, onEvent: (name, data) => this.tell(m.url, (id) => ({ id, name, data })), onConnection: (c) => this.stands(m.url, c) };
      this.streams.set(m.url, { o, connection: "connecting", stop: null });
      return;
    }
    if (m.whole && had.stop) {
      had.stop(); // it restarts with its first event, for all windows
      had.stop = this.open(had.o);
    }
    port.send({ id: m.id, connection: had.connection });
  }

  /** Opens the streams with the highest priority, closes those without a window, and pauses the rest. */
  private settle(): void {
    const rank = new Map<string, number>();
    for (const w of this.wants) rank.set(w.url, Math.max(rank.get(w.url) ?? 0, w.first ? Number.POSITIVE_INFINITY : (this.used.get(w.port) ?? 0)));
    for (const [url, s] of this.streams) {
      if (rank.has(url)) continue;
      s.stop?.();
      this.streams.delete(url);
    }
    const order = [...this.streams].sort(([a], [b]) => (rank.get(b) ?? 0) - (rank.get(a) ?? 0));
    for (const [url, s] of order.slice(most)) {
      if (s.connection === "resting") continue;
      s.stop?.();
      s.stop = null;
      this.stands(url, "resting");
    }
    for (const [url, s] of order.slice(0, most)) {
      if (s.stop) continue;
      this.stands(url, "connecting");
      s.stop = this.open(s.o);
    }
  }

  private stands(url: string, connection: Connection): void {
    const s = this.streams.get(url);
    if (!s) return;
    s.connection = connection;
    this.tell(url, (id) => ({ id, connection }));
  }

  private tell(url: string, m: (id: number) => FromHub): void {
    for (const w of this.wants) if (w.url === url) w.port.send(m(w.id));
  }
}
