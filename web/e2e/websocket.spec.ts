// WebSockets of a browser through a proxy with TLS, at CONSOLE_URL. The browser opens them on the connection of HTTP/2 that
// loaded the page (RFC 8441). The instance at /ws sends every message back, and closes the socket after the text "close".
import { expect, test } from "@playwright/test";
import { setting } from "./console";

test.use({ ignoreHTTPSErrors: true }); // the certificate is one of the test

test("a WebSocket carries messages both ways, and the close codes of both sides", async ({ page }) => {
  await page.goto(setting("CONSOLE_URL") + "/");
  const seen = await page.evaluate(async () => {
    const url = `wss://${location.host}/ws`;
    const next = <T extends Event>(socket: WebSocket, name: string) => new Promise<T>((resolve) => socket.addEventListener(name, (e) => resolve(e as T), { once: true }));
    const closing = new WebSocket(url);
    closing.binaryType = "arraybuffer";
    await next(closing, "open");
    closing.send("hello");
    const text = (await next<MessageEvent>(closing, "message")).data;
    const large = new Uint8Array(1 << 20).fill(7);
    closing.send(large);
    const back = new Uint8Array((await next<MessageEvent>(closing, "message")).data);
    closing.close(4002, "the page closes");
    const closedByPage = (await next<CloseEvent>(closing, "close")).code;
    const closed = new WebSocket(url);
    await next(closed, "open");
    closed.send("close");
    const end = await next<CloseEvent>(closed, "close");
    const page = performance.getEntriesByType("navigation")[0] as PerformanceNavigationTiming;
    return {
      protocol: page.nextHopProtocol,
      text,
      bytes: back.length,
      same: back.every((b) => b === 7),
      closedByPage,
      closedByInstance: `${end.code} ${end.reason} ${end.wasClean}`,
    };
  });
  expect(seen).toEqual({ protocol: "h2", text: "hello", bytes: 1 << 20, same: true, closedByPage: 4002, closedByInstance: "4001 the instance closes true" });
});
