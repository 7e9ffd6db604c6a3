import { expect, it } from "vitest";
import { slots } from "../live/feed";
import { line } from "./marks";

/** The heights that a path has at each second. */
function heights(d: string): number[] {
  const out: number[] = [];
  let x = 0;
  let y = 0;
  for (const [, op, a = "", b = ""] of d.matchAll(/([MLH])([\d.]+)(?: ([\d.]+))?/g)) {
    const to = Math.round(Number(a) - 0.5);
    const height = op === "H" ? y : Number(b);
    if (op !== "M") for (let n = x + 1; n < to; n++) out[n] = y;
    out[to] = height;
    x = to;
    y = height;
  }
  return out;
}

it("draws every second at its height, the newest last, in few strokes", () => {
  const values = new Float32Array(slots);
  for (const [n, v] of [3, 3, 0, 10, 99, 0.001].entries()) values[n + 50] = v;
  const head = 70;
  const d = line(values, head, 10, 3);
  const want = Array.from({ length: slots }, (_, n) => {
    const v = values[(head + 1 + n) % slots] ?? 0;
    return Math.round((23 - (v > 0 ? Math.max(3, (Math.min(v, 10) / 10) * 22) : 0)) * 10) / 10;
  });
  expect(heights(d)).toEqual(want);
  expect(line(new Float32Array(slots), 0, 1)).toBe(`M.5 23H${slots - 0.5}`);
});
