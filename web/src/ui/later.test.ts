import { expect, it } from "vitest";
import { load } from "./later";

/** A node that is down for some attempts, and a part that it lacks for some. */
function world(down: number, lacking: number, mayReload = true) {
  const seen = { waits: 0, reloads: 0, asked: 0 };
  const part = () => {
    seen.asked++;
    return down > 0 || lacking > 0 ? Promise.reject(new TypeError("Failed to fetch dynamically imported module")) : Promise.resolve("part");
  };
  return {
    seen,
    part,
    w: {
      answers: () => {
        if (down > 0) return Promise.resolve(false);
        lacking--;
        return Promise.resolve(true);
      },
      wait: () => {
        seen.waits++;
        down--;
        return Promise.resolve();
      },
      reload: () => {
        seen.reloads++;
        return mayReload;
      },
    },
  };
}

// A view that was opened while the node was down stayed broken: React keeps the error of a lazy component.
it("a part that could not be loaded is loaded once the node is back", async () => {
  for (const down of [0, 1, 5, 200]) {
    const { seen, part, w } = world(down, 0);
    expect(await load(part, w)).toBe("part");
    expect([seen.waits, seen.reloads]).toEqual([down, 0]);
  }
});

it("a failure of a node that answers is tried once more", async () => {
  const { seen, part, w } = world(0, 1);
  expect(await load(part, w)).toBe("part");
  expect(seen.reloads).toBe(0);
});

it("a part of another version loads the window anew, and fails where that did not help", async () => {
  const gone = world(0, 99);
  const never = load(gone.part, gone.w);
  expect(await Promise.race([never, new Promise((done) => setTimeout(() => done("waits"), 20))])).toBe("waits");
  expect(gone.seen.reloads).toBe(1);
  const again = world(0, 99, false);
  await expect(load(again.part, again.w)).rejects.toThrow("dynamically imported");
});
