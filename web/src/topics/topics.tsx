import type { Params } from "../ui/route";
import { TopicList } from "./list";
import { TopicPage } from "./topic";

/** The topics, or one of them. */
export function TopicsView({ params }: { params: Params }) {
  return params.topic === undefined ? <TopicList /> : <TopicPage key={params.topic} name={params.topic} tab={params.tab ?? ""} />;
}
