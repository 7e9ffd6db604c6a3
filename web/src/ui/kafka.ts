import { useQuery } from "@tanstack/react-query";
import { type Cluster, get, hasCode } from "../api/client";

/**
 * Whether Kafka answers the console, for pages that show what the console
 * remembers, or what it looks at seldom: those would look well for a while
 * after Kafka has gone.
 */
export function useKafka() {
  const of = useQuery({ queryKey: ["cluster"], queryFn: ({ signal }) => get<Cluster>("/cluster", signal), refetchInterval: 5_000 });
  return { away: hasCode(of.error, "unavailable", "busy", "timeout"), of };
}
