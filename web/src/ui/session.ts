import { useQuery } from "@tanstack/react-query";
import { get, type Me } from "../api/client";

const order = ["viewer", "operator", "admin"] as const;

/** The user of the console; undefined until the node has answered. */
export function useMe(): Me | undefined {
  return useQuery({ queryKey: ["me"], queryFn: ({ signal }) => get<Me>("/me", signal), staleTime: 60_000 }).data;
}

const notYetKnown = "Your permissions are not known yet"; // until the node has answered /me

/** The text next to an action for the reason of useForbidden; empty while the role is being loaded. */
export const saidOf = (forbidden: string) => (forbidden === notYetKnown ? "" : forbidden);

/**
 * The reason why the user may not use an action that needs a role; empty if the user may. The server decides in any
 * case; the page only disables actions that the server would refuse.
 */
export function useForbidden(need: Me["role"]): string {
  const me = useMe();
  if (!me) return notYetKnown;
  if (me.readOnly) return "This node is read-only";
  return order.indexOf(me.role) < order.indexOf(need) ? `Your role is ${me.role}; this needs the role ${need}` : "";
}
