import { useSyncExternalStore } from "react";
import { addressOf, type Query } from "./query";

/** A search with a name, kept in this browser. */
export interface Saved {
  name: string;
  topic: string;
  /** The query as an address holds it. */
  query: string;
}

const key = "smartlb.searches";
const most = 200;
const changed = "smartlb:saved";

function isSaved(s: unknown): s is Saved {
  if (typeof s !== "object" || s === null) return false;
  const { name, topic, query } = s as Record<string, unknown>;
  return typeof name === "string" && typeof topic === "string" && typeof query === "string";
}

function read(): Saved[] {
  try {
    const list: unknown = JSON.parse(localStorage.getItem(key) ?? "[]");
    return Array.isArray(list) ? list.filter(isSaved) : [];
  } catch {
    return [];
  }
}

function write(list: Saved[]): void {
  try {
    localStorage.setItem(key, JSON.stringify(list.slice(0, most)));
  } catch {
    // Without storage there are no saved searches; the address still holds this one.
  }
  dispatchEvent(new Event(changed));
}

/** Keeps a search; one of the same name and topic is replaced. */
export function save(name: string, topic: string, q: Query): void {
  write([{ name, topic, query: addressOf(q) }, ...read().filter((s) => s.name !== name || s.topic !== topic)]);
}

export function forget(s: Saved): void {
  write(read().filter((x) => x.name !== s.name || x.topic !== s.topic));
}

let last = { text: "", list: [] as Saved[] };

export function useSaved(): Saved[] {
  return useSyncExternalStore(
    (f) => {
      addEventListener(changed, f);
      addEventListener("storage", f);
      return () => {
        removeEventListener(changed, f);
        removeEventListener("storage", f);
      };
    },
    () => {
      let text = "";
      try {
        text = localStorage.getItem(key) ?? "";
      } catch {
        // as above
      }
      if (text !== last.text) last = { text, list: read() };
      return last.list;
    },
  );
}
