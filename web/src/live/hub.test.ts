import { beforeEach, expect, it } from "vitest";
import { type FromHub, Hub, most, type Port, type ToHub } from "./hub";
import type { SourceOptions } from "./source";

/** Connections of the browser, played by hand. */
let opened: { o: SourceOptions; open: boolean }[] = [];
let hub: Hub;
let now = 0;

class Window implements Port {
  heard: FromHub[] = [];
  constructor() {
    hub.join(this);
  }
  send(m: FromHub) {
    this.heard.push(m);
  }
  say(m: ToHub) {
    hub.take(this, m);
  }
  want(id: number, url: string, first = false) {
    this.say({ do: "open", id, url, names: ["e"], silence: 1, whole: first, first });
  }
  state(id: number) {
    return this.heard.filter((m) => "connection" in m && m.id === id).at(-1);
  }
  data(id: number) {
    return this.heard.flatMap((m) => ("data" in m && m.id === id ? [m.data] : []));
  }
}

const urls = () => opened.filter((s) => s.open).map((s) => s.o.url).sort();
const of = (url: string) => opened.findLast((s) => s.open && s.o.url === url);

beforeEach(() => {
  opened = [];
  now = 0;
  hub = new Hub(
    (o) => {
      const s = { o, open: true };
      opened.push(s);
      return () => {
        s.open = false;
      };
    },
    () => now,
  );
});

it("six windows with the same stream use one connection, and each has the first event", () => {
  const windows = Array.from({ length: 6 }, () => new Window());
  for (const w of windows) {
    w.want(1, "/overview", true);
    of("/overview")?.o.onEvent("e", "first");
  }
  of("/overview")?.o.onEvent("e", "second");
  expect(urls()).toEqual(["/overview"]);
  for (const w of windows) expect([w.data(1)[0], w.data(1).at(-1)]).toEqual(["first", "second"]);
});

it("a stream ends with the last window that wants it, by closing, ending or falling silent", () => {
  const [a, b, c] = [new Window(), new Window(), new Window()];
  for (const w of [a, b, c]) w.want(7, "/s");
  a.say({ do: "close", id: 7 });
  b.say({ do: "end" });
  expect(urls()).toEqual(["/s"]);
  now = 19_000;
  c.say({ do: "alive" });
  now = 38_000;
  hub.sweep();
  expect(urls()).toEqual(["/s"]);
  now = 60_000;
  hub.sweep();
  expect(urls()).toEqual([]);
  c.want(7, "/s"); // it was only slow
  expect(urls()).toEqual(["/s"]);
});

it("connections are left for calls: the windows that the user left longest ago rest, the overview never", () => {
  const windows = Array.from({ length: 8 }, () => new Window());
  windows.forEach((w, n) => {
    w.want(1, "/overview", true);
    w.want(2, `/tail/${n}`);
  });
  expect(urls()).toEqual(["/overview", "/tail/5", "/tail/6", "/tail/7"]);
  expect(urls().length).toBe(most);
  expect(windows[0]?.state(2)).toEqual({ id: 2, connection: "resting" });
  windows[0]?.say({ do: "focus" });
  expect(urls()).toEqual(["/overview", "/tail/0", "/tail/6", "/tail/7"]);
  expect([windows[0]?.state(2), windows[5]?.state(2)]).toEqual([{ id: 2, connection: "connecting" }, { id: 2, connection: "resting" }]);
  windows[7]?.say({ do: "end" });
  expect(urls()).toEqual(["/overview", "/tail/0", "/tail/5", "/tail/6"]);
});

it("who joins hears how the stream stands, and all hear when it is lost", () => {
  const a = new Window();
  a.want(1, "/s");
  of("/s")?.o.onConnection("live");
  const b = new Window();
  b.want(9, "/s");
  expect(b.state(9)).toEqual({ id: 9, connection: "live" });
  of("/s")?.o.onConnection("lost");
  expect([a.state(1), b.state(9)]).toEqual([{ id: 1, connection: "lost" }, { id: 9, connection: "lost" }]);
});
