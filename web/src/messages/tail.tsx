import { useEffect, useMemo, useReducer, useRef, useState } from "react";
import { type Message, type Messages, type Problem, seg } from "../api/client";
import { type Connection, openStream } from "../live/events";
import { bytes, count } from "../ui/format";
import { CloseIcon, LostIcon, PauseIcon, PlayIcon } from "../ui/icons";
import { useKeys } from "../ui/keys";
import { Time } from "../ui/time";
import { emptyTail, hold, receive, resume, search, type Tail } from "./buffer";
import { Value } from "./json";

type Event = { do: "receive"; batch: Messages } | { do: "hold" } | { do: "resume" };

function step(t: Tail, e: Event): Tail {
  switch (e.do) {
    case "receive":
      return receive(t, e.batch.messages, e.batch.skipped);
    case "hold":
      return hold(t);
    case "resume":
      return resume(t);
  }
}

const rows = 150; // drawn at once; the filter looks at all that are kept

/** New messages of a topic as they come, newest on top. */
export function LiveTail({ topic }: { topic: string }) {
  const [tail, send] = useReducer(step, emptyTail);
  const [connection, setConnection] = useState<Connection>("connecting");
  const [problem, setProblem] = useState<string | null>(null);
  const [filter, setFilter] = useState("");
  const [open, setOpen] = useState<Message | null>(null);
  useEffect(
    () =>
      openStream({
        url: `/api/v1/topics/${seg(topic)}/events?last=20`,
        silence: 12_000, // the server says something each 5 s
        onConnection: setConnection,
        on: {
          messages: (data) => {
            setProblem(null);
            send({ do: "receive", batch: data as Messages });
          },
          problem: (data) => setProblem((data as Problem).error),
        },
      }),
    [topic],
  );
  const found = useMemo(() => search(tail.shown, filter), [tail.shown, filter]);
  const toggle = () => send({ do: tail.held ? "resume" : "hold" });
  const keys = useMemo(() => ({ p: toggle, Escape: () => leave(setOpen) }), [tail.held]);
  useKeys(keys);
  const select = (m: Message) => {
    setOpen(m);
    send({ do: "hold" }); // what one reads must not run away
  };
  return (
    <section className="tail" aria-labelledby="tail-h">
      <div className="tail-bar">
        <h2 id="tail-h">Live tail</h2>
        <button type="button" onClick={toggle} aria-pressed={tail.held} className="pause" title="p">
          {tail.held ? <PlayIcon /> : <PauseIcon />} {tail.held ? "Resume" : "Pause"}
        </button>
        <Status tail={tail} connection={connection} />
        <label className="filter">
          <span className="visually-hidden">Filter messages</span>
          <input type="search" placeholder="Filter messages  /" value={filter} onChange={(e) => setFilter(e.target.value)} />
        </label>
      </div>
      <p className={`tail-note ${problem ? "bad-text" : "muted"}`} role={problem ? "alert" : undefined}>
        {problem ??
          (filter
            ? `${count(found.length)} of ${count(tail.shown.length)} messages match`
            : `${count(tail.shown.length)} messages kept${tail.shown.length > rows ? `, the newest ${rows} shown` : ""}`)}
        {tail.skipped > 0 && `; ${count(tail.skipped)} skipped, the topic is faster than 200 messages a second`}
      </p>
      <div className={`tail-body ${open ? "reading" : ""}`}>
        <Rows list={found} open={open} onSelect={select} dim={connection === "lost"} filtered={filter !== ""} />
        {open && <Reader m={open} onClose={() => setOpen(null)} />}
      </div>
    </section>
  );
}

function leave(close: (m: null) => void) {
  if (document.activeElement instanceof HTMLInputElement) document.activeElement.blur();
  else close(null);
}

function Status({ tail, connection }: { tail: Tail; connection: Connection }) {
  return (
    <span className="tail-status" role="status">
      {connection === "lost" ? (
        <span className="bad-text">
          <LostIcon /> lost, trying again
        </span>
      ) : tail.held ? (
        <span className="warn-text">
          paused, {count(tail.waiting.length)} new{tail.overflow > 0 && ` (${count(tail.overflow)} older ones dropped)`}
        </span>
      ) : (
        <span className="muted">{connection === "live" ? `live, ${count(tail.received)} received` : "connecting"}</span>
      )}
    </span>
  );
}

interface RowsProps {
  list: Message[];
  open: Message | null;
  onSelect: (m: Message) => void;
  dim: boolean;
  filtered: boolean;
}

/**
 * Rows are slots, keyed by their place: new messages change what the slots
 * say and move nothing, so the page does not shift under the reader's eyes.
 */
function Rows({ list, open, onSelect, dim, filtered }: RowsProps) {
  const pressed = useRef<Message | null>(null); // what was under the pointer when it went down
  return (
    <div className={`rows ${dim ? "stale" : ""}`} role="list" aria-label="Messages, newest first" tabIndex={-1}>
      {list.length === 0 && <p className="muted none">{filtered ? "No kept message matches." : "No message yet."}</p>}
      {list.slice(0, rows).map((m, n) => (
        <div role="listitem" key={n}>
          <button
            type="button"
            className={`message ${open?.partition === m.partition && open.offset === m.offset ? "selected" : ""}`}
            onPointerDown={() => {
              pressed.current = m;
            }}
            onClick={() => {
              onSelect(pressed.current ?? m);
              pressed.current = null;
            }}
          >
            <span className="m-time">
              <Time at={m.timestamp} millis />
            </span>
            <span className="m-at num">
              {m.partition}:{m.offset}
            </span>
            <span className="m-key">{m.key || "no key"}</span>
            <span className="m-value">{m.tombstone ? "tombstone" : m.binary ? "binary" : preview(m.value)}</span>
            <span className="m-size num">{bytes(m.size)}</span>
          </button>
        </div>
      ))}
    </div>
  );
}

/** The beginning of a value, without the timestamp that nearly every message begins with: the row has its own. */
function preview(value: string): string {
  return value.slice(0, 400).replace(/^\{"timestamp":"[^"]*",/, "{… ");
}

function Reader({ m, onClose }: { m: Message; onClose: () => void }) {
  const headers = Object.entries(m.headers ?? {});
  return (
    <aside className="reader" aria-label={`Message ${m.partition}:${m.offset}`}>
      <header>
        <h3>
          Partition {m.partition}, offset {m.offset}
        </h3>
        <button type="button" className="quiet" onClick={onClose} aria-label="Close the message" title="Close (Esc)">
          <CloseIcon />
        </button>
      </header>
      <dl className="pairs">
        <div>
          <dt>time</dt>
          <dd>
            <Time at={m.timestamp} millis />
          </dd>
        </div>
        <div>
          <dt>key</dt>
          <dd>{m.key || "none"}</dd>
        </div>
        <div>
          <dt>size</dt>
          <dd>{bytes(m.size)}</dd>
        </div>
        {headers.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd className="header-value">{value}</dd>
          </div>
        ))}
      </dl>
      <Value m={m} />
    </aside>
  );
}
