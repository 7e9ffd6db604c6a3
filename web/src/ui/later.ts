import { type ComponentType, type LazyExoticComponent, lazy } from "react";

const pause = 1_000; // ms between two attempts
const mark = "smartlb.reloaded"; // when this window last loaded itself anew, ms since 1970
const calm = 30_000; // ms within which it does so once

interface World {
  /** Whether the node answers, whatever it says. */
  answers: () => Promise<boolean>;
  wait: (ms: number) => Promise<void>;
  /** Loads the window anew; false where it just did. */
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
 * Loads a part of the console. While the node is down it is tried until the node
 * answers. A part that a node that answers does not have is of a version before
 * an upgrade, or the browser keeps the failure: the window is loaded anew, once.
 */
export async function load<T>(part: () => Promise<T>, w: World = world): Promise<T> {
  for (let refused = 0; ; ) {
    try {
      return await part();
    } catch (e) {
      if ((await w.answers()) && ++refused > 1) {
        if (!w.reload()) throw e;
        return new Promise(() => {}); // the window goes
      }
      await w.wait(pause);
    }
  }
}

/** A component whose code is loaded when it is first shown. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the type that lazy itself asks for: the properties of any component
export const later = <T extends ComponentType<any>>(part: () => Promise<{ default: T }>): LazyExoticComponent<T> => lazy(() => load(part));
