import type { Page } from "@playwright/test";

/** Frames per second and the pauses between frames, in ms. */
export type Frames = { frames: number; fps: number; p99: number; longest: number };

/** Counts the frames of a page for a time, in ms, while it scrolls by a number of px with each frame. */
export function frames(page: Page, ms: number, scroll: number): Promise<Frames> {
  return page.evaluate(
    ([ms, scroll]) =>
      new Promise<Frames>((done) => {
        const times: number[] = [];
        const begin = performance.now();
        const step = (t: number) => {
          times.push(t);
          if (scroll) scrollBy(0, scroll);
          if (scroll && innerHeight + scrollY >= document.documentElement.scrollHeight - 2) scrollTo(0, 0);
          if (t - begin < ms) {
            requestAnimationFrame(step);
            return;
          }
          const gaps = times
            .slice(1)
            .map((x, n) => x - times[n])
            .sort((a, b) => a - b);
          const total = times[times.length - 1] - times[0];
          done({ frames: times.length - 1, fps: ((times.length - 1) / total) * 1000, p99: gaps[Math.floor(gaps.length * 0.99)], longest: gaps[gaps.length - 1] });
        };
        requestAnimationFrame(step);
      }),
    [ms, scroll] as const,
  );
}
