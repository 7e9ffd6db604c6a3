import { useCallback, useEffect, useReducer, useState } from "react";
import { type Problem, seg } from "../../api/client";
import { type Connection, openStream, restingNote } from "../../live/events";
import { count } from "../../ui/format";
import { LostIcon, PauseIcon, PlayIcon } from "../../ui/icons";
import { useKeys } from "../../ui/keys";
import { emptyTail, hold, kept, receive, resume, type Tail } from "./buffer";
import { callOf, type Query } from "./query";
import type { Live } from "./types";

interface Followed {
  tail: Tail;
  problem: string | null;
}

type Event = { do: "begin" } | { do: "receive"; batch: Live } | { do: "problem"; text: string } | { do: "hold" } | { do: "toggle" };

const begun: Followed = { tail: emptyTail, problem: null };

function step({ tail, problem }: Followed, e: Event): Followed {
  switch (e.do) {
    case "begin": // the earlier results matched another query
      return begun;
    case "receive":
      return { tail: receive(tail, e.batch.messages, e.batch.skipped, e.batch.read), problem: null };
    case "problem":
      return { tail, problem: e.text };
    case "hold":
      return { tail: hold(tail), problem };
    case "toggle":
      return { tail: tail.held ? resume(tail) : hold(tail), problem };
  }
}

export interface LiveState {
  tail: Tail;
  connection: Connection;
  problem: string | null;
  toggle: () => void;
  hold: () => void;
}

/** New messages of a topic that match the query, as they arrive; none without a query. */
export function useLiveTail(topic: string, q: Query | null): LiveState {
  const [{ tail, problem }, send] = useReducer(step, begun);
  const [connection, setConnection] = useState<Connection>("connecting");
  useEffect(() => {
    send({ do: "begin" });
    if (!q) return;
    return openStream({
      url: `/api/v1/topics/${seg(topic)}/events?${liveCall(q)}`,
      silence: 12_000, // the server sends an event every 5 s
      alone: true, // it begins with the newest messages
      onConnection: setConnection,
      on: {
        messages: (data) => send({ do: "receive", batch: data as Live }),
        problem: (data) => send({ do: "problem", text: (data as Problem).error }),
      },
    });
  }, [topic, q]);
  const toggle = () => send({ do: "toggle" });
  useKeys(q ? { p: toggle } : {});
  return { tail, connection, problem, toggle, hold: useCallback(() => send({ do: "hold" }), []) };
}

function liveCall(q: Query): string {
  const p = callOf({ ...q, from: "", until: "", order: "", limit: "", bytes: "", seconds: "" });
  p.set("last", "20");
  return p.toString();
}

/** The state of the live stream, and its pause button. */
export function LiveBar({ state, filtered }: { state: LiveState; filtered: boolean }) {
  const { tail, connection, problem } = state;
  return (
    <div className="tail-bar">
      <button type="button" onClick={state.toggle} aria-pressed={tail.held} className="pause" title="p">
        {tail.held ? <PlayIcon /> : <PauseIcon />} {tail.held ? "Resume" : "Pause"}
      </button>
      <span className="tail-status" role="status">
        {connection === "lost" ? (
          <span className="bad-text">
            <LostIcon /> connection lost, retrying
          </span>
        ) : connection === "resting" ? (
          <span className="warn-text" title={restingNote}>
            paused: other windows are live; click to resume
          </span>
        ) : tail.held ? (
          <span className="warn-text">
            paused, {count(tail.waiting.length)} new{tail.overflow > 0 && ` (${count(tail.overflow)} older ones dropped)`}
          </span>
        ) : (
          <span className="muted">{connection === "live" ? `live, ${count(tail.received)} received` : "connecting"}</span>
        )}
      </span>
      <span className={`tail-note ${problem ? "bad-text" : "muted"}`} role={problem ? "alert" : undefined}>
        {problem ?? [
          tail.skipped > 0 && `${count(tail.skipped)} skipped: the topic is faster than 200 messages a second`,
          filtered && `${count(tail.read)} read`,
          tail.shown.length >= kept && `the newest ${count(kept)} are kept`,
        ].filter(Boolean).join("; ")}
      </span>
    </div>
  );
}

