/**
 * A server-sent event stream that reconnects by itself, says when it is lost,
 * and rests while the page is hidden (a browser gives one host six
 * connections, and a forgotten tab should not hold one).
 */

export type Connection = "connecting" | "live" | "lost";

export interface StreamOptions {
  url: string;
  /** Called with the parsed data of each event, by the event's name. */
  on: Record<string, (data: unknown) => void>;
  onConnection: (c: Connection) => void;
  /** A stream that says nothing for so long is lost, ms. */
  silence: number;
}

const firstDelay = 500;
const longestDelay = 8_000;

/** Wait before attempt n (from 0), ms: doubling, with jitter so that many pages do not come back at once. */
export function retryDelay(n: number, random: () => number = Math.random): number {
  return Math.min(longestDelay, firstDelay * 2 ** n) * (0.75 + random() / 2);
}

export function openStream(o: StreamOptions): () => void {
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
    if (closed || document.hidden) return;
    o.onConnection("lost");
    retry = setTimeout(start, retryDelay(attempt++));
  };
  const alive = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(lost, o.silence);
  };
  function start() {
    stop();
    if (closed) return;
    const s = new EventSource(o.url);
    source = s;
    alive();
    s.onerror = lost;
    for (const [name, handle] of Object.entries(o.on)) {
      s.addEventListener(name, (e) => {
        if (s !== source) return;
        attempt = 0;
        alive();
        o.onConnection("live");
        handle(JSON.parse((e as MessageEvent<string>).data));
      });
    }
  }
  const visibility = () => {
    if (document.hidden) stop();
    else start();
  };
  document.addEventListener("visibilitychange", visibility);
  o.onConnection("connecting");
  if (!document.hidden) start();
  return () => {
    closed = true;
    document.removeEventListener("visibilitychange", visibility);
    stop();
  };
}
