import { useSyncExternalStore } from "react";

/** Where the page is. Four places need no router library. */
export type Place =
  | { view: "overview"; instance?: { service: string; id: string } }
  | { view: "topics"; topic?: string }
  | { view: "nowhere" };

export function parsePlace(path: string): Place {
  let parts: string[];
  try {
    parts = path.split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    return { view: "nowhere" }; // a lone % in the address
  }
  const [first, second, third, ...rest] = parts;
  if (rest.length > 0) return { view: "nowhere" };
  if (first === undefined) return { view: "overview" };
  if (first === "instances" && second && third) return { view: "overview", instance: { service: second, id: third } };
  if (first === "topics" && !third) return second ? { view: "topics", topic: second } : { view: "topics" };
  return { view: "nowhere" };
}

export const paths = {
  overview: "/",
  topics: "/topics",
  instance: (service: string, id: string) => `/instances/${encodeURIComponent(service)}/${encodeURIComponent(id)}`,
  topic: (name: string) => `/topics/${encodeURIComponent(name)}`,
};

const changed = "smartlb:navigate";

export function navigate(path: string): void {
  if (path === location.pathname) return;
  history.pushState(null, "", path);
  dispatchEvent(new Event(changed));
}

function subscribe(f: () => void): () => void {
  addEventListener("popstate", f);
  addEventListener(changed, f);
  return () => {
    removeEventListener("popstate", f);
    removeEventListener(changed, f);
  };
}

export function usePath(): string {
  return useSyncExternalStore(subscribe, () => location.pathname);
}
