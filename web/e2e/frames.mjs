/** Frames and the pauses between them while the page scrolls by so many px a frame, or while a promise runs. */
export const frames = (page, ms, scroll) =>
  page.evaluate(
    ([ms, scroll]) =>
      new Promise((done) => {
        const times = [];
        const begin = performance.now();
        const step = (t) => {
          times.push(t);
          if (scroll) scrollBy(0, scroll);
          if (scroll && innerHeight + scrollY >= document.documentElement.scrollHeight - 2) scrollTo(0, 0);
          if (t - begin < ms) return requestAnimationFrame(step);
          const gaps = times
            .slice(1)
            .map((x, n) => x - times[n])
            .sort((a, b) => a - b);
          done({ frames: times.length - 1, fps: ((times.length - 1) / (times.at(-1) - times[0])) * 1000, p99: gaps[Math.floor(gaps.length * 0.99)], longest: gaps.at(-1) });
        };
        requestAnimationFrame(step);
      }),
    [ms, scroll],
  );
