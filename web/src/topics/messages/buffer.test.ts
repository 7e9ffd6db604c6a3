import { describe, expect, it } from "vitest";
import { emptyTail, hold, kept, receive, resume } from "./buffer";
import type { Message } from "./types";

const message = (offset: number, more: Partial<Message> = {}): Message => ({
  topic: "t",
  partition: 0,
  offset,
  timestamp: new Date(1_700_000_000_000 + offset).toISOString(),
  key: "k",
  value: `{"n":${offset}}`,
  timestampType: "create",
  leaderEpoch: 0,
  compression: "none",
  keySize: 1,
  valueSize: 7,
  headersSize: 0,
  ...more,
});
const run = (from: number, n: number) => Array.from({ length: n }, (_, i) => message(from + i));

describe("a tail", () => {
  it("shows the newest first", () => {
    const t = receive(receive(emptyTail, run(0, 2), 0), run(2, 2), 0);
    expect(t.shown.map((m) => m.offset)).toEqual([3, 2, 1, 0]);
  });

  it("shows a message once when a reconnected stream repeats it, but the same offset of another partition too", () => {
    const t = receive(receive(emptyTail, run(0, 3), 0), [...run(1, 3), message(1, { partition: 1 })], 0);
    expect(t.shown.map((m) => `${m.partition}/${m.offset}`).sort()).toEqual(["0/0", "0/1", "0/2", "0/3", "1/1"]);
    expect(t.received).toBe(5);
  });

  it("keeps what is shown while it is held, and shows what waited when resumed", () => {
    const before = hold(receive(emptyTail, run(0, 3), 0));
    const held = receive(before, run(3, 5), 0);
    expect(held.shown).toBe(before.shown);
    expect(held.waiting.length).toBe(5);
    expect(resume(held).shown.map((m) => m.offset)).toEqual([7, 6, 5, 4, 3, 2, 1, 0]);
  });

  it("is bounded, shown and waiting, and counts what no longer fits", () => {
    const full = receive(emptyTail, run(0, kept + 10), 0);
    expect(full.shown.length).toBe(kept);
    expect(full.shown[0]?.offset).toBe(kept + 9);
    const held = receive(hold(full), run(kept + 10, kept + 7), 0);
    expect([held.waiting.length, held.overflow]).toEqual([kept, 7]);
  });

  it("adds up what the server skipped", () => {
    expect(receive(receive(emptyTail, [], 3), [], 4).skipped).toBe(7);
  });
});
