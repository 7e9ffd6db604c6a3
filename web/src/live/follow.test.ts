import { expect, it } from "vitest";
import { type Arrived, noneArrived, step } from "./follow";

interface Row {
  offset: number;
}

const offsets = (list: Row[]) => list.map((d) => d.offset);
const receive = (a: Arrived<Row>, ...list: number[]) => step(a, { do: "receive", batch: { rows: list.map((offset) => ({ offset })), skipped: 1, connected: true } });

it("shows what arrives, newest first", () => {
  const a = receive(receive(noneArrived, 1, 2), 3);
  expect(offsets(a.shown)).toEqual([3, 2, 1]);
  expect(a.skipped).toBe(2);
});

it("keeps what arrives during a pause until it ends", () => {
  const paused = step(receive(noneArrived, 1), { do: "toggle" });
  const later = receive(receive(paused, 2), 3);
  expect(later.shown).toBe(paused.shown);
  expect(offsets(later.waiting)).toEqual([3, 2]);
  const resumed = step(later, { do: "toggle" });
  expect([offsets(resumed.shown), resumed.waiting, resumed.paused]).toEqual([[3, 2, 1], [], false]);
});

it("begins anew with another filter, and stays paused", () => {
  const a = step(receive(step<Row>(noneArrived, { do: "toggle" }), 1), { do: "begin" });
  expect(a).toEqual({ ...noneArrived, paused: true });
});

it("is bounded, shown or waiting", () => {
  const many = Array.from({ length: 2_500 }, (_, n) => n);
  const shown = receive(noneArrived, ...many);
  expect([shown.shown.length, shown.shown[0]?.offset]).toEqual([1000, 2499]);
  const resumed = step(receive(step(shown, { do: "toggle" }), ...many.map((n) => n + 2_500)), { do: "toggle" });
  expect([resumed.shown.length, resumed.shown[0]?.offset]).toEqual([1000, 4999]);
});

it("a batch without records changes no list", () => {
  const a = receive(noneArrived, 1);
  expect(receive(a).shown).toBe(a.shown);
});
