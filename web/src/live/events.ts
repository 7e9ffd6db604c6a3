import { aliveEvery, type FromHub, type ToHub } from "./hub";
import { type Connection, openSource } from "./source";

export { type Connection, retryDelay } from "./source";

/**
 * Streams of this window. They pause while it is hidden: a browser gives one host six connections, and a forgotten tab
 * should not hold one. If the browser has shared workers, all its windows share the streams.
 */

export const restingNote = "A browser gives one host six connections, and other windows of this console use them. This window goes on when you click in it.";

export interface StreamOptions {
  url: string;
  /** Called with the parsed data of each event, by the event's name. */
  on: Record<string, (data: unknown) => void>;
  onConnection: (c: Connection) => void;
  /** A stream without an event for this long is lost, ms. */
  silence: number;
  /** Later events build on the first one, so each window needs it. */
  whole?: boolean;
  /** Not shared with another window that has the same address. */
  alone?: boolean;
  /** It is never paused, even if the browser has too many streams. */
  first?: boolean;
}

/** Opens a stream that reconnects by itself, until the function that it returns is called. */
export function openStream(o: StreamOptions): () => void {
  const mark = o.alone && shared ? `#${Math.random().toString(36).slice(2)}` : ""; // not part of the request; it makes the address unique
  let close: (() => void) | null = null;
  const source = {
    url: o.url + mark,
    names: Object.keys(o.on),
    silence: o.silence,
    onConnection: o.onConnection,
    onEvent: (name: string, data: string) => o.on[name]?.(JSON.parse(data)),
  };
  const stop = () => {
    close?.();
    close = null;
  };
  const start = () => {
    stop();
    close = shared ? shared.open(source, o.whole ?? false, o.first ?? false) : openSource(source);
  };
  const visibility = () => {
    if (document.hidden) stop();
    else start();
  };
  document.addEventListener("visibilitychange", visibility);
  o.onConnection("connecting");
  if (!document.hidden) start();
  return () => {
    document.removeEventListener("visibilitychange", visibility);
    stop();
  };
}

type Source = Parameters<typeof openSource>[0];

const startsWithin = 3_000; // ms; without an answer by then, the window works without the worker

/** The window's end of the shared worker. */
class Shared {
  private streams = new Map<number, { source: Source; whole: boolean; first: boolean; own: (() => void) | null }>();
  private last = 0;
  private greeted = false;
  private failed = false;
  private port: MessagePort;

  constructor(worker: SharedWorker) {
    this.port = worker.port;
    this.port.onmessage = (e: MessageEvent<FromHub>) => this.take(e.data);
    worker.onerror = () => this.fail();
    setTimeout(() => this.greeted || this.fail(), startsWithin);
    setInterval(() => this.streams.size > 0 && this.say({ do: "alive" }), aliveEvery);
    addEventListener("focus", () => this.say({ do: "focus" }));
    addEventListener("pointerdown", () => this.say({ do: "focus" }), { capture: true, passive: true });
    addEventListener("pagehide", () => this.say({ do: "end" }));
    addEventListener("pageshow", (e) => {
      if (e.persisted) for (const [id, s] of this.streams) this.ask(id, s); // back from the browser's cache
    });
  }

  open(source: Source, whole: boolean, first: boolean): () => void {
    const id = ++this.last;
    const s = { source, whole, first, own: this.failed ? openSource(source) : null };
    this.streams.set(id, s);
    if (!this.failed) this.ask(id, s);
    return () => {
      this.streams.delete(id);
      s.own?.();
      if (!this.failed) this.say({ do: "close", id });
    };
  }

  private ask(id: number, s: { source: Source; whole: boolean; first: boolean }) {
    const { url, names, silence } = s.source;
    this.say({ do: "open", id, url: new URL(url, location.href).href, names, silence, whole: s.whole, first: s.first });
  }

  private say(m: ToHub) {
    this.port.postMessage(m);
  }

  private take(m: FromHub) {
    if ("hello" in m) {
      this.greeted = true;
      return;
    }
    const s = this.streams.get(m.id);
    if (!s || this.failed) return;
    if ("connection" in m) s.source.onConnection(m.connection);
    else s.source.onEvent(m.name, m.data);
  }

  /** Without the worker each stream is the window's own. */
  private fail() {
    if (this.failed) return;
    this.failed = true;
    this.say({ do: "end" });
    for (const s of this.streams.values()) s.own = openSource(s.source);
  }
}

const shared: Shared | null = typeof SharedWorker === "undefined" ? null : connect();

function connect(): Shared | null {
  try {
    return new Shared(new SharedWorker(new URL("./worker.ts", import.meta.url), { type: "module", name: "smartlb" }));
  } catch {
    return null; // some browsers forbid it in private windows
  }
}
