import { aliveEvery, Hub, type ToHub } from "./hub";

/** The shared worker: one for all windows of the console in a browser. */
const hub = new Hub();

(self as unknown as { onconnect: (e: MessageEvent) => void }).onconnect = (e) => {
  const channel = e.ports[0];
  if (!channel) return;
  const port = { send: (m: unknown) => channel.postMessage(m) };
  channel.onmessage = (e: MessageEvent<ToHub>) => hub.take(port, e.data);
  hub.join(port);
};

setInterval(() => hub.sweep(), aliveEvery);
