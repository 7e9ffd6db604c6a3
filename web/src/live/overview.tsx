import { useQuery, useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useContext, useEffect, useState } from "react";
import { ApiError, type Changes, get, type Overview, type Problem } from "../api/client";
import { type Connection, openStream } from "./events";
import { apply, begin, type LiveOverview } from "./feed";

interface Live {
  connection: Connection;
  /** The error that the node answered with, if it answered. */
  problem: string | null;
}

const LiveContext = createContext<Live>({ connection: "connecting", problem: null });
/** The key of the latest overview in the query cache. */
export const overviewKey = ["overview"];

/** Keeps one stream of the overview open for the whole page, into the query cache. */
export function OverviewProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [connection, setConnection] = useState<Connection>("connecting");
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(
    () =>
      openStream({
        url: "/api/v1/overview/events",
        silence: 12_000, // one event each second; the node itself may wait 10 s for another
        whole: true,
        first: true,
        onConnection: setConnection,
        on: {
          overview: (data) => {
            setProblem(null);
            client.setQueryData(overviewKey, begin(data as Overview));
          },
          changes: (data) => {
            setProblem(null);
            client.setQueryData<LiveOverview>(overviewKey, (o) => o && apply(o, data as Changes));
          },
          problem: (data) => setProblem((data as Problem).error),
        },
      }),
    [client],
  );
  useEffect(() => {
    if (connection !== "lost") return;
    // The error of a stream has no reason; a call has one if the node answers without an overview.
    const stop = new AbortController();
    get<Overview>("/overview", stop.signal).catch((e: unknown) => {
      if (!stop.signal.aborted) setProblem(e instanceof ApiError ? e.message : null);
    });
    return () => stop.abort();
  }, [connection]);
  return <LiveContext value={{ connection, problem }}>{children}</LiveContext>;
}

export function useLive(): Live {
  return useContext(LiveContext);
}

/** The latest overview, undefined before the first. It stays when the connection is lost. */
export function useOverview(): LiveOverview | undefined {
  return useQuery<LiveOverview>({ queryKey: overviewKey, enabled: false, staleTime: Infinity, gcTime: Infinity }).data;
}
