import { useQuery } from "@tanstack/react-query";
import { get, type Me } from "../api/client";

const order = ["viewer", "operator", "admin"] as const;

/** Who uses the console, undefined until that is known. */
export function useMe(): Me | undefined {
  return useQuery({ queryKey: ["me"], queryFn: ({ signal }) => get<Me>("/me", signal), staleTime: 60_000 }).data;
}

const notYetKnown = "Your permissions are not known yet"; // until the node has said who is there

/** What a page says of useForbidden's reason beside the action: nothing for the moment until it is known. */
export const saidOf = (forbidden: string) => (forbidden === notYetKnown ? "" : forbidden);

/**
 * Why the user may not do what needs a role, empty where they may. The server
 * decides in any case; the page only does not offer what it would refuse.
 */
export function useForbidden(need: Me["role"]): string {
  const me = useMe();
  if (!me) return notYetKnown;
  if (me.readOnly) return "This node is read-only";
  return order.indexOf(me.role) < order.indexOf(need) ? `Your role is ${me.role}; this needs the role ${need}` : "";
}
