import { idOf as id, type Message } from "./types";

/** The number of messages that a tail keeps; older ones are dropped. */
export const kept = 1000;

/**
 * The messages of a live tail, newest first. While it is paused, the shown messages stay, and new messages wait in a
 * second, bounded list.
 */
export interface Tail {
  shown: Message[];
  waiting: Message[];
  held: boolean;
  /** Number of messages that the server left out because they arrived too fast. */
  skipped: number;
  /** Number of messages that arrived during a pause and no longer fit. */
  overflow: number;
  received: number;
  /** Number of messages that the server read. */
  read: number;
}

export const emptyTail: Tail = { shown: [], waiting: [], held: false, skipped: 0, overflow: 0, received: 0, read: 0 };

/** Takes a batch, oldest first as it comes from the server. A reconnected stream repeats messages: they are shown once. */
export function receive(t: Tail, batch: Message[], skipped: number, read = 0): Tail {
  const known = new Set<string>();
  for (const m of t.shown) known.add(id(m));
  for (const m of t.waiting) known.add(id(m));
  const fresh = batch.filter((m) => !known.has(id(m))).sort((a, b) => Date.parse(b.timestamp) - Date.parse(a.timestamp) || b.offset - a.offset);
  const next = { ...t, skipped: t.skipped + skipped, read: t.read + read, received: t.received + fresh.length };
  if (fresh.length === 0) return next;
  if (!t.held) return { ...next, shown: [...fresh, ...t.shown].slice(0, kept) };
  const waiting = [...fresh, ...t.waiting];
  return { ...next, waiting: waiting.slice(0, kept), overflow: t.overflow + Math.max(0, waiting.length - kept) };
}

export function hold(t: Tail): Tail {
  return t.held ? t : { ...t, held: true };
}

export function resume(t: Tail): Tail {
  return t.held ? { ...t, held: false, shown: [...t.waiting, ...t.shown].slice(0, kept), waiting: [], overflow: 0 } : t;
}
