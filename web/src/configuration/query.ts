import { useQuery } from "@tanstack/react-query";
import { type Configuration, get } from "../api/client";

export const configKey = ["config"];

/** The current configuration, polled every few seconds. */
export function useConfiguration() {
  return useQuery({ queryKey: configKey, queryFn: ({ signal }) => get<Configuration>("/config", signal), refetchInterval: 3_000 });
}
