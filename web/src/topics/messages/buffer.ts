import { idOf as id, type Message } from "./types";

/** How many messages a tail keeps; older ones fall out. */
export const kept = 1000;

/**
 * The messages of a live tail, newest first. While it is held, new ones wait
 * beside the shown ones, bounded as well, and what is shown stays.
 */
export interface Tail {
  shown: Message[];
  waiting: Message[];
  held: boolean;
  /** Messages that came too fast: the server left them out. */
  skipped: number;
  /** Messages that came while held and no longer fit beside the others. */
  overflow: number;
  received: number;
  /** Messages that the server looked at. */
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
