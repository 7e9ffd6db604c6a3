/** A server-sent event stream that reconnects automatically and reports when it is lost. */

/** resting: the limit of open streams is reached, and other windows use them. */
export type Connection = "connecting" | "live" | "lost" | "resting";

export interface SourceOptions {
  url: string;
  /** The names of the events to receive. */
  names: string[];
  onEvent: (name: string, data: string) => void;
  onConnection: (c: Connection) => void;
  /** A stream without an event for this long is lost, ms. */
  silence: number;
}

const firstDelay = 500;
const longestDelay = 8_000;

/** Wait before attempt n (from 0), ms: doubling, with jitter so that many pages do not come back at once. */
export function retryDelay(n: number, random: () => number = Math.random): number {
  return Math.min(longestDelay, firstDelay * 2 ** n) * (0.75 + random() / 2);
}

/** Opens a stream and keeps it open until the function that it returns is called. */
export function openSource(o: SourceOptions): () => void {
  let source: EventSource | null = null;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let watchdog: ReturnType<typeof setTimeout> | undefined;
  let attempt = 0;
  let closed = false;

  const stop = () => {
    clearTimeout(retry);
    clearTimeout(watchdog);
    source?.close();
    source = null;
  };
  const lost = () => {
    stop();
    if (closed) return;
    o.onConnection("lost");
    retry = setTimeout(start, retryDelay(attempt++));
  };
  const alive = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(lost, o.silence);
  };
  function start() {
    stop();
    const s = new EventSource(o.url);
    source = s;
    alive();
    s.onerror = lost;
    for (const name of o.names) {
      s.addEventListener(name, (e) => {
        if (s !== source) return;
        attempt = 0;
        alive();
        o.onConnection("live");
        o.onEvent(name, (e as MessageEvent<string>).data);
      });
    }
  }
  start();
  return () => {
    closed = true;
    stop();
  };
}
