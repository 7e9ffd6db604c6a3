import { LiveTail } from "./tail";

/** The messages of a topic. */
export function MessagesTab({ topic }: { topic: string }) {
  return <LiveTail topic={topic} />;
}
