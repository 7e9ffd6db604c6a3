import { type ComponentType, type LazyExoticComponent, lazy } from "react";

const pause = 1_000; // ms between two attempts
const mark = "smartlb.reloaded"; // the time of this window's last reload, ms since 1970
const calm = 30_000; // ms between two reloads at least

interface World {
  /** Whether the node answers, with any status. */
  answers: () => Promise<boolean>;
  wait: (ms: number) => Promise<void>;
  /** Reloads the window; false if it was reloaded a moment ago. */
  reload: () => boolean;
}

const world: World = {
  answers: () => fetch("/api/v1/me").then(() => true, () => false),
  wait: (ms) => new Promise((done) => setTimeout(done, ms)),
  reload: () => {
    if (Date.now() - Number(sessionStorage.getItem(mark) ?? 0) < calm) return false;
    sessionStorage.setItem(mark, String(Date.now()));
    location.reload();
    return true;
  },
};

/**
 * Loads a part of the console. While the node is down, load retries until the node answers. If the node answers without
 * the part, the page is older than an upgrade of the node, or the browser has cached the failure: load reloads the
 * window, once.
 */
export async function load<T>(part: () => Promise<T>, w: World = world): Promise<T> {
  for (let refused = 0; ; ) {
    try {
      return await part();
    } catch (e) {
      if ((await w.answers()) && ++refused > 1) {
        if (!w.reload()) throw e;
        return new Promise(() => {}); // the window is being reloaded
      }
      await w.wait(pause);
    }
  }
}

/** A component whose code is loaded when it is first shown. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the type that lazy itself asks for: the properties of any component
export const later = <T extends ComponentType<any>>(part: () => Promise<{ default: T }>): LazyExoticComponent<T> => lazy(() => load(part));
