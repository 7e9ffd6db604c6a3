import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState } from "react";
import { type Decision, type Decisions, get } from "../api/client";
import { type Connection, openStream } from "../live/events";

const kept = 1000; // rows in the page

export const keyOf = (d: Decision) => `${d.partition}/${d.offset}`;

export interface Following {
  /** Newest first. */
  rows: Decision[];
  skipped: number;
  /** That came while it was paused. */
  waiting: number;
  connection: Connection;
  /** Kafka answers the node. */
  kafka: boolean;
  error: unknown;
  pending: boolean;
}

/** Follows the decisions that a query string names: the recent past, and then what comes. */
export function useDecisions(query: string, paused: boolean): Following {
  const past = useQuery({ queryKey: ["decisions", query], queryFn: ({ signal }) => get<Decision[]>(`/decisions?last=500${query && `&${query}`}`, signal), staleTime: Infinity, gcTime: 0 });
  const [state, set] = useState({ fresh: [] as Decision[], skipped: 0 });
  const [connection, setConnection] = useState<Connection>("connecting");
  const [kafka, setKafka] = useState(true);
  const held = useRef<Decision[]>([]);
  const [waiting, setWaiting] = useState(0);
  const pausing = useRef(paused);
  useEffect(() => {
    set({ fresh: [], skipped: 0 });
    held.current = [];
    setWaiting(0);
    return openStream({
      url: `/api/v1/decisions/events${query && `?${query}`}`,
      silence: 12_000, // something comes each 5 s
      onConnection: setConnection,
      on: {
        decisions: (data) => {
          const { decisions, skipped, connected } = data as Decisions;
          setKafka(connected);
          const newest = decisions.toReversed();
          if (pausing.current) {
            held.current = [...newest, ...held.current].slice(0, kept);
            setWaiting(held.current.length);
          } else if (newest.length > 0 || skipped > 0) {
            set((s) => ({ fresh: [...newest, ...s.fresh].slice(0, kept), skipped: s.skipped + skipped }));
          }
        },
      },
    });
  }, [query]);
  useEffect(() => {
    pausing.current = paused;
    if (paused || held.current.length === 0) return;
    const late = held.current;
    held.current = [];
    setWaiting(0);
    set((s) => ({ ...s, fresh: [...late, ...s.fresh].slice(0, kept) }));
  }, [paused]);
  const rows = useMemo(() => {
    const seen = new Set<string>();
    const all = [...state.fresh, ...(past.data ?? [])].filter((d) => {
      const key = keyOf(d);
      if (seen.has(key)) return false;
      seen.add(key);
      return true;
    });
    return all.slice(0, kept);
  }, [state.fresh, past.data]);
  return { rows, skipped: state.skipped, waiting, connection, kafka, error: past.error, pending: past.isPending };
}
