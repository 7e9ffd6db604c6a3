import { useQuery } from "@tanstack/react-query";
import { type Cluster, get, hasCode } from "../api/client";

/**
 * Whether Kafka answers the console, for pages with data from the console's memory or with rare updates. Without it,
 * those pages would look healthy for a while after Kafka stopped.
 */
export function useKafka() {
  const of = useQuery({ queryKey: ["cluster"], queryFn: ({ signal }) => get<Cluster>("/cluster", signal), refetchInterval: 5_000 });
  return { down: hasCode(of.error, "unavailable", "busy", "timeout"), of };
}
