import { useCallback, useEffect, useReducer, useRef } from "react";
import { ApiError, type Problem, seg } from "../../api/client";
import { callOf, type Query } from "./query";
import type { End, Message, Progress } from "./types";
import { idOf } from "./types";

/** One search: its results so far, its progress, and how it ended. */
export interface Search {
  rows: Message[];
  progress: Progress | null;
  end: End | null;
  problem: unknown;
  running: boolean;
  /** Stopped by the user. */
  stopped: boolean;
}

export const noSearch: Search = { rows: [], progress: null, end: null, problem: null, running: false, stopped: false };

export type SearchEvent =
  | { do: "begin"; on: boolean }
  | { do: "matches"; list: Message[] }
  | { do: "progress"; progress: Progress }
  | { do: "end"; end: End }
  | { do: "problem"; problem: unknown }
  | { do: "stop" }
  | { do: "clear" };

export function step(s: Search, e: SearchEvent): Search {
  switch (e.do) {
    case "begin": // a continued search keeps its results, and its progress until the next event
      return { ...noSearch, ...(e.on && { rows: s.rows, progress: s.progress }), running: true };
    case "matches": {
      const known = new Set(s.rows.map(idOf)); // a continued search may find a message again
      return { ...s, rows: [...s.rows, ...e.list.filter((m) => !known.has(idOf(m)))] };
    }
    case "progress":
      return { ...s, progress: e.progress };
    case "end":
      return { ...s, end: e.end, progress: e.end.progress, running: false };
    case "problem":
      return { ...s, problem: e.problem, running: false };
    case "stop":
      return s.running ? { ...s, running: false, stopped: true } : s;
    case "clear":
      return noSearch;
  }
}

/** Cuts a stream of server-sent events into events (WHATWG HTML §9.2, as far as our server uses it). */
export class EventReader {
  private rest = "";
  take(chunk: string): { name: string; data: string }[] {
    const blocks = (this.rest + chunk).split("\n\n");
    this.rest = blocks.pop() ?? "";
    return blocks.flatMap((block) => {
      const event = { name: "message", data: "" };
      for (const line of block.split("\n")) {
        if (line.startsWith("event: ")) event.name = line.slice(7);
        else if (line.startsWith("data: ")) event.data += line.slice(6);
      }
      return event.data === "" ? [] : [event];
    });
  }
}

/** Runs a search and reports its events. Aborting the signal ends it in the server as well. */
export async function run(url: string, signal: AbortSignal, tell: (e: SearchEvent) => void): Promise<void> {
  let ended = false;
  try {
    const response = await fetch(url, { signal });
    if (!response.ok || !response.body) {
      const problem = (await response.json().catch(() => null)) as Problem | null;
      throw new ApiError(response.status, problem ?? { error: `the node answered ${response.status}` });
    }
    const events = new EventReader();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      for (const e of events.take(value)) {
        const data: unknown = JSON.parse(e.data);
        if (e.name === "matches") tell({ do: "matches", list: (data as { messages: Message[] }).messages });
        else if (e.name === "progress") tell({ do: "progress", progress: data as Progress });
        else if (e.name === "end") {
          ended = true;
          tell({ do: "end", end: data as End });
        } else if (e.name === "problem") {
          ended = true;
          tell({ do: "problem", problem: new ApiError(503, data as Problem) });
        }
      }
    }
    if (!ended) throw new ApiError(0, { error: "the connection was lost before the search ended", hint: "what was found until then stays; go on from there" });
  } catch (e) {
    if (signal.aborted) return;
    tell({ do: "problem", problem: e instanceof ApiError ? e : new ApiError(0, { error: "the console does not answer", hint: "what was found until then stays; go on from there" }) });
  }
}

/** Runs a search for each new query, none without a query, and returns its state. */
export function useSearch(topic: string, query: Query | null) {
  const [s, tell] = useReducer(step, noSearch);
  const control = useRef<AbortController | null>(null);
  const begin = useCallback(
    (q: Query, at = "") => {
      control.current?.abort();
      const own = new AbortController();
      control.current = own;
      tell({ do: "begin", on: at !== "" });
      void run(`/api/v1/topics/${seg(topic)}/search?${callOf(q, at)}`, own.signal, (e) => {
        if (!own.signal.aborted) tell(e);
      });
    },
    [topic],
  );
  useEffect(() => {
    if (query) begin(query);
    else tell({ do: "clear" });
    return () => control.current?.abort();
  }, [begin, query]);
  const stop = () => {
    control.current?.abort();
    tell({ do: "stop" });
  };
  return { s, begin, stop };
}
