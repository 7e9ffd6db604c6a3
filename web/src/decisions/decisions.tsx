import type { Params } from "../ui/route";
import { OneRequest } from "./one";
import { Stream } from "./stream";

/** Recorded decisions, live, or the decisions about one request. */
export function DecisionsView({ params }: { params: Params }) {
  return params.request === undefined ? <Stream /> : <OneRequest key={params.request} request={params.request} />;
}
