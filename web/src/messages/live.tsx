import { useEffect, useMemo, useReducer, useState } from "react";
import { type Problem, seg } from "../api/client";
import { type Connection, openStream, restingNote } from "../live/events";
import { count } from "../ui/format";
import { LostIcon, PauseIcon, PlayIcon } from "../ui/icons";
import { useKeys } from "../ui/keys";
import { emptyTail, hold, kept, receive, resume, type Tail } from "./buffer";
import { callOf, type Query } from "./query";
import type { Live } from "./types";

type Event = { do: "begin" } | { do: "receive"; batch: Live } | { do: "hold" } | { do: "resume" };

function step(t: Tail, e: Event): Tail {
  switch (e.do) {
    case "begin":
      return emptyTail;
    case "receive":
      return receive(t, e.batch.messages, e.batch.skipped, e.batch.read);
    case "hold":
      return hold(t);
    case "resume":
      return resume(t);
  }
}

export interface LiveState {
  tail: Tail;
  connection: Connection;
  problem: string | null;
  toggle: () => void;
  hold: () => void;
}

/** New messages of a topic that match, as they come; none where there is no query. */
export function useLiveTail(topic: string, q: Query | null): LiveState {
  const [tail, send] = useReducer(step, emptyTail);
  const [connection, setConnection] = useState<Connection>("connecting");
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    send({ do: "begin" }); // what came before matched something else
    setProblem(null);
    if (!q) return;
    return openStream({
      url: `/api/v1/topics/${seg(topic)}/events?${liveCall(q)}`,
      silence: 12_000, // the server says something each 5 s
      alone: true, // it begins with the newest messages
      onConnection: setConnection,
      on: {
        messages: (data) => {
          setProblem(null);
          send({ do: "receive", batch: data as Live });
        },
        problem: (data) => setProblem((data as Problem).error),
      },
    });
  }, [topic, q]);
  const toggle = () => send({ do: tail.held ? "resume" : "hold" });
  const keys = useMemo((): Record<string, () => void> => (q ? { p: toggle } : {}), [q, tail.held]);
  useKeys(keys);
  return { tail, connection, problem, toggle, hold: () => send({ do: "hold" }) };
}

function liveCall(q: Query): string {
  const p = callOf({ ...q, from: "", until: "", order: "", limit: "", bytes: "", seconds: "" });
  p.set("last", "20");
  return p.toString();
}

/** What the live stream does, and how to hold it. */
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
            <LostIcon /> lost, trying again
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
          filtered && `${count(tail.read)} looked at`,
          tail.shown.length >= kept && `the newest ${count(kept)} are kept`,
        ].filter(Boolean).join("; ")}
      </span>
    </div>
  );
}

