import { expect, it } from "vitest";
import type { Decision, Decisions } from "../api/client";
import { type Arrived, noneArrived, step } from "./follow";

const decision = (offset: number): Decision => ({ partition: 0, offset }) as Decision;
const batch = (...offsets: number[]): Decisions => ({ decisions: offsets.map(decision), skipped: 1, connected: true });
const offsets = (list: Decision[]) => list.map((d) => d.offset);
const receive = (a: Arrived, ...list: number[]) => step(a, { do: "receive", batch: batch(...list) });

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
  const a = step(receive(step(noneArrived, { do: "toggle" }), 1), { do: "begin" });
  expect(a).toEqual({ ...noneArrived, paused: true });
});

it("is bounded, shown or waiting", () => {
  const many = Array.from({ length: 2_500 }, (_, n) => n);
  const shown = receive(noneArrived, ...many);
  expect([shown.shown.length, shown.shown[0]?.offset]).toEqual([1000, 2499]);
  const resumed = step(receive(step(shown, { do: "toggle" }), ...many.map((n) => n + 2_500)), { do: "toggle" });
  expect([resumed.shown.length, resumed.shown[0]?.offset]).toEqual([1000, 4999]);
});

it("a batch without decisions changes no list", () => {
  const a = receive(noneArrived, 1);
  expect(receive(a).shown).toBe(a.shown);
});
