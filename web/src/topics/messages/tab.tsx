import { useQuery } from "@tanstack/react-query";
import { useCallback, useState } from "react";
import { get, seg, type TopicDetail } from "../../api/client";
import { useKeys } from "../../ui/keys";
import { useParam } from "../../ui/route";
import { useForbidden } from "../../ui/session";
import { SearchBar } from "./bar";
import { fieldsOf, parse } from "./document";
import { Inspector } from "./inspector";
import { LiveBar, useLiveTail } from "./live";
import { Produce } from "./produce";
import { SearchProgress } from "./progress";
import { addressOf, isLive, type Query, setQuery, terms, useQueryOfAddress } from "./query";
import { Redrive } from "./redrive";
import { Rows } from "./rows";
import { useSearch } from "./search";
import { exportOf, SavedSearches } from "./tools";
import { idOf, type Message } from "./types";

/** The messages of a topic: live, or the results of a search. The address decides which. */
export function MessagesTab({ topic }: { topic: string }) {
  return <Messages key={topic} topic={topic} query={useQueryOfAddress()} />;
}

interface Props {
  topic: string;
  query: Query;
}

const filtered = (q: Query) => q.partitions !== "" || terms.some((t) => q[t] !== "");

function Messages({ topic, query }: Props) {
  const live = isLive(query);
  const tail = useLiveTail(topic, live ? query : null);
  const search = useSearch(topic, live ? null : query);
  const { s } = search;
  if (live) {
    return (
      <Frame
        topic={topic}
        query={query}
        list={tail.tail.shown}
        dim={tail.connection === "lost"}
        running={false}
        onSubmit={setQuery}
        onStop={doNothing}
        onOpen={tail.hold} // the open message must stay in place
        state={<LiveBar state={tail} filtered={filtered(query)} />}
        none={
          tail.connection !== "live" ? null : filtered(query) ? (
            <p className="muted">No matching message has arrived yet. “Newest first” searches the existing messages.</p>
          ) : (
            <p className="muted">
              No message yet. <code>smartlb kafka produce {topic} 'hello'</code> sends one.
            </p>
          )
        }
        choose={false}
      />
    );
  }
  return (
    <Frame
      topic={topic}
      query={query}
      list={s.rows}
      dim={false}
      running={s.running}
      onSubmit={(q) => (addressOf(q) === addressOf(query) ? search.begin(query) : setQuery(q))}
      onStop={search.stop}
      onOpen={doNothing}
      state={
        <SearchProgress
          s={s}
          onContinue={() => search.begin(query, s.progress?.next ?? "")}
          onAgain={() => search.begin(query)}
          onMore={() => setQuery({ ...query, bytes: String(Math.min(16 * 2 ** 30, (s.end?.budgetBytes ?? 0) * 16)), seconds: "600" })}
        />
      }
      none={
        s.running ? null : filtered(query) ? (
          <p className="muted">No message matches{s.end && s.end.reason !== "end" ? " so far: continue the search, or raise its limits" : ""}.</p>
        ) : (
          s.end && (
            <p className="muted">
              There is no message here. <code>smartlb kafka produce {topic} 'hello'</code> sends one.
            </p>
          )
        )
      }
      choose
    />
  );
}

const nothing: ReadonlySet<string> = new Set();
const doNothing = () => {};

interface FrameProps extends Props {
  list: Message[];
  dim: boolean;
  running: boolean;
  onSubmit: (q: Query) => void;
  onStop: () => void;
  /** Called after a message was opened. The same function in every call, because the rows are made anew for another one. */
  onOpen: () => void;
  state: React.ReactNode;
  none: React.ReactNode;
  /** Whether messages can be selected. */
  choose: boolean;
}

/** The parts that live messages and searches share: the bar, the rows, the open message, and the actions. */
function Frame({ topic, query, list, dim, running, onSubmit, onStop, onOpen, state, none, choose }: FrameProps) {
  const [open, setOpen] = useParam("open");
  const [selected, setChosen] = useState<ReadonlySet<string>>(nothing);
  const [dialog, setDialog] = useState<"saved" | "produce" | "redrive" | null>(null);
  const [again, setAgain] = useState<Message | null>(null);
  const [sent, setSent] = useState("");
  const detail = useQuery({ queryKey: ["topic", topic], queryFn: ({ signal }) => get<TopicDetail>(`/topics/${seg(topic)}`, signal), staleTime: 5_000 });
  const forbidden = useForbidden(detail.data?.reserved ? "admin" : "operator");
  const [read, setRead] = useState<Message | undefined>(undefined); // stays when its row has gone
  const listed = list.find((m) => idOf(m) === open);
  if (listed && listed !== read) setRead(listed);
  const known = listed ?? (read && idOf(read) === open ? read : undefined);
  const fields = useFields(list);
  useKeys({ Escape: () => leave(() => setOpen("")) });
  const show = useCallback(
    (m: Message) => {
      setOpen(idOf(m));
      onOpen();
    },
    [setOpen, onOpen],
  );
  const toggle = useCallback(
    (m: Message) =>
      setChosen((c) => {
        const next = new Set(c);
        if (!next.delete(idOf(m))) next.add(idOf(m));
        return next;
      }),
    [],
  );
  const close = () => {
    setDialog(null);
    setAgain(null);
  };
  const chosen = choose ? selected : nothing; // a selection that is not visible is neither sent nor exported
  return (
    <section className="tail" aria-label={`Messages of ${topic}`}>
      <SearchBar query={query} running={running} onSubmit={onSubmit} onStop={onStop} fields={fields} />
      <div className="tail-state">
        {state}
        <div className="tail-tools">
          {sent && (
            <span className="ok-text" role="status">
              {sent}
            </span>
          )}
          {chosen.size > 0 && (
            <button type="button" className="quiet" onClick={() => setChosen(nothing)}>
              {chosen.size} selected: clear
            </button>
          )}
          {choose && (
            <a className="button" href={exportOf(topic, query, chosen)} download title="As JSON lines, whole messages">
              Export {chosen.size > 0 ? chosen.size : ""}
            </a>
          )}
          <button type="button" onClick={() => setDialog("saved")}>
            Saved
          </button>
          {topic.endsWith(".dlq") && (
            <button type="button" disabled={forbidden !== ""} title={forbidden || undefined} onClick={() => setDialog("redrive")}>
              Send back …
            </button>
          )}
          <button type="button" disabled={forbidden !== ""} title={forbidden || undefined} onClick={() => setDialog("produce")}>
            Produce …
          </button>
        </div>
      </div>
      <div className={`tail-body ${open ? "reading" : ""}`}>
        <Rows
          list={list}
          open={open}
          dim={dim}
          none={none}
          onOpen={show}
          {...(choose ? { chosen, onChoose: toggle } : {})}
        />
        {open && <Inspector forbidden={forbidden} key={open} topic={topic} id={open} known={known} onClose={() => setOpen("")} onAgain={setAgain} />}
      </div>
      {dialog === "saved" && <SavedSearches topic={topic} query={query} onClose={close} />}
      {dialog === "redrive" && <Redrive topic={topic} query={query} chosen={chosen} onClose={close} />}
      {(dialog === "produce" || again) && (
        <Produce
          topic={topic}
          partitions={detail.data?.partitions.length ?? 0}
          like={again}
          onClose={close}
          onSent={(p) => {
            close();
            setSent(`Sent: partition ${p.partition}, offset ${p.offset}`);
          }}
        />
      )}
    </section>
  );
}

function leave(close: () => void) {
  if (document.activeElement instanceof HTMLInputElement) document.activeElement.blur();
  else close();
}

const samples = 20;

type Field = { path: string; kind: string; sample: string };

/** Fields of the newest messages, for examples and help. They are read again when there are more messages than before, up to the number of samples. */
function useFields(list: Message[]): Field[] {
  const count = Math.min(list.length, samples);
  const [seen, setSeen] = useState<{ count: number; fields: Field[] }>({ count: 0, fields: [] });
  if (count > seen.count || (count === 0 && seen.count > 0)) {
    const next = { count, fields: fieldsIn(list.slice(0, samples)) };
    setSeen(next);
    return next.fields;
  }
  return seen.fields;
}

function fieldsIn(list: Message[]): Field[] {
  const found = new Map<string, Field>();
  for (const m of list) {
    const doc = m.value !== undefined && !m.valueCut ? parse(m.value) : null;
    for (const f of doc ? fieldsOf(doc) : []) if (!found.has(f.path)) found.set(f.path, f);
  }
  return [...found.values()].slice(0, 60);
}
