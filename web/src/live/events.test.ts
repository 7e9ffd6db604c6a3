import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type Connection, openStream, retryDelay } from "./events";

/** A browser's event source, played by hand. */
class Source {
  static all: Source[] = [];
  onerror: (() => void) | null = null;
  closed = false;
  listeners = new Map<string, (e: { data: string }) => void>();
  constructor(readonly url: string) {
    Source.all.push(this);
  }
  addEventListener(name: string, f: (e: { data: string }) => void) {
    this.listeners.set(name, f);
  }
  close() {
    this.closed = true;
  }
  send(data: unknown) {
    this.listeners.get("overview")?.({ data: JSON.stringify(data) });
  }
}

const page = { hidden: false, listeners: new Set<() => void>() };
const open = () => Source.all.filter((s) => !s.closed);
let states: Connection[] = [];
let got: unknown[] = [];
let close = () => {};

beforeEach(() => {
  vi.useFakeTimers();
  Source.all = [];
  states = [];
  got = [];
  page.hidden = false;
  vi.stubGlobal("EventSource", Source);
  vi.stubGlobal("document", {
    get hidden() {
      return page.hidden;
    },
    addEventListener: (_: string, f: () => void) => page.listeners.add(f),
    removeEventListener: (_: string, f: () => void) => page.listeners.delete(f),
  });
  close = openStream({ url: "/e", silence: 5000, onConnection: (c) => states.push(c), on: { overview: (d) => got.push(d) } });
});

afterEach(() => {
  close();
  expect(page.listeners.size).toBe(0);
  expect(open()).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it("gives the data of its events", () => {
  open()[0]?.send({ a: 1 });
  expect([states.at(-1), got]).toEqual(["live", [{ a: 1 }]]);
});

it("comes back by itself when it is lost, with one connection at a time", () => {
  open()[0]?.onerror?.();
  expect(states.at(-1)).toBe("lost");
  expect(open()).toEqual([]);
  vi.advanceTimersByTime(1000);
  expect(open().length).toBe(1);
  open()[0]?.send(1);
  expect(states.at(-1)).toBe("live");
});

it("counts as lost when it says nothing", () => {
  open()[0]?.send(1);
  vi.advanceTimersByTime(4999);
  expect(states.at(-1)).toBe("live");
  vi.advanceTimersByTime(1);
  expect(states.at(-1)).toBe("lost");
});

it("rests while the page is hidden", () => {
  open()[0]?.send(1);
  page.hidden = true;
  for (const f of page.listeners) f();
  expect(open()).toEqual([]);
  vi.advanceTimersByTime(60_000);
  expect(states.at(-1)).toBe("live");
  page.hidden = false;
  for (const f of page.listeners) f();
  expect(open().length).toBe(1);
});

it("takes nothing from a connection that it gave up", () => {
  const old = open()[0];
  old?.onerror?.();
  old?.send("late");
  expect(got).toEqual([]);
});

it("a lost stream is tried again soon, then every 8 s, never in step", () => {
  expect(retryDelay(0, () => 0.5)).toBe(500);
  expect(retryDelay(3, () => 0.5)).toBe(4000);
  expect(retryDelay(50, () => 0.5)).toBe(8000);
  expect(retryDelay(0, () => 0)).toBeLessThan(retryDelay(0, () => 1));
});
