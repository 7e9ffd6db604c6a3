import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useId, useState } from "react";
import { type DeletedTopic, type Grown, post, remove, seg, type TopicDetail, type Truncation } from "../api/client";
import { Confirm } from "../ui/confirm";
import { count, dash, utc } from "../ui/format";
import { WarnIcon } from "../ui/icons";
import { address, navigate, paths, useParam } from "../ui/route";
import { saidOf, useForbidden } from "../ui/session";
import { num, Sheet } from "../ui/sheet";
import { Failure, Waiting } from "../ui/states";
import { TimeField } from "../ui/time";
import { useLater } from "./later";

const dialogs = ["grow", "truncate", "delete"];

/** The actions on a topic. Each has a preview. */
export function Manage({ topic }: { topic: TopicDetail }) {
  const [open, setOpen] = useParam("do");
  const admin = useForbidden("admin");
  const forbidden = topic.internal || topic.name.startsWith("__") ? "It is internal to Kafka" : admin;
  const close = () => setOpen("");
  const action = (what: string, text: string, kind = "") => (
    <button type="button" className={kind} disabled={forbidden !== ""} title={forbidden} onClick={() => setOpen(what)}>
      {text}
    </button>
  );
  return (
    <section aria-labelledby="manage-h">
      <h2 id="manage-h">Change it</h2>
      <div className="actions">
        <button type="button" disabled={admin !== ""} title={admin} onClick={() => navigate(address(paths.topics, {}, { create: 1, like: topic.name }))}>
          Clone …
        </button>
        {action("grow", "Add partitions …")}
        {action("truncate", "Delete records …")}
        {action("delete", "Delete topic …", "danger")}
      </div>
      {saidOf(forbidden) && <p className="muted small">{forbidden}.</p>}
      {forbidden === "" && dialogs.includes(open) && <Asked what={open} topic={topic} onClose={close} />}
    </section>
  );
}

function Asked({ what, topic, onClose }: { what: string; topic: TopicDetail; onClose: () => void }) {
  if (what === "grow") return <Grow topic={topic} onClose={onClose} />;
  return what === "truncate" ? <Truncate topic={topic} onClose={onClose} /> : <Delete topic={topic} onClose={onClose} />;
}

function useChanged(name: string) {
  const client = useQueryClient();
  return () => Promise.all([client.invalidateQueries({ queryKey: ["topic", name] }), client.invalidateQueries({ queryKey: ["topics"] })]);
}

const Warning = ({ children }: { children: ReactNode }) => (
  <p className="warn-text">
    <WarnIcon /> {children}
  </p>
);

function Grow({ topic, onClose }: { topic: TopicDetail; onClose: () => void }) {
  const have = topic.partitions.length;
  const [to, setTo] = useState(String(have + 1));
  const asked = useLater(to, 300);
  const changed = useChanged(topic.name);
  const id = useId();
  const path = `/topics/${seg(topic.name)}/partitions`;
  const preview = useQuery({ queryKey: ["grow", topic.name, asked], queryFn: () => post<Grown>(`${path}?dryRun=true`, { partitions: Number(asked) }), retry: false, gcTime: 0, placeholderData: keepPreviousData });
  return (
    <Confirm
      title={`Add partitions to ${topic.name}`}
      verb="Add"
      onClose={onClose}
      run={async () => {
        await post<Grown>(path, { partitions: Number(to) });
        await changed();
      }}
    >
      <div>
        <label htmlFor={id}>Partitions in all; it has {count(have)}</label>
        <input id={id} type="number" min={have + 1} value={to} onChange={(e) => setTo(e.target.value)} />
      </div>
      {preview.isError && <Failure error={preview.error} />}
      {preview.data?.warning && !preview.isError && <Warning>{preview.data.warning}.</Warning>}
      <p className="muted">Kafka cannot remove partitions.</p>
    </Confirm>
  );
}

type Before = "time" | "offset" | "end";

function Truncate({ topic, onClose }: { topic: TopicDetail; onClose: () => void }) {
  const [kind, setKind] = useState<Before>("time");
  const [time, setTime] = useState<number | null>(() => Math.floor(Date.now() / 1000) * 1000 - 86_400_000);
  const [offset, setOffset] = useState("0");
  const [partition, setPartition] = useState("");
  const changed = useChanged(topic.name);
  const ids = [useId(), useId(), useId()] as const;
  const body = {
    before: kind === "end" ? "end" : kind === "offset" ? offset : `@${time === null ? "" : utc(time)}`,
    partitions: partition === "" ? [] : [Number(partition)],
  };
  const key = useLater(JSON.stringify(body), 300);
  const path = `/topics/${seg(topic.name)}/truncate`;
  const preview = useQuery({
    queryKey: ["truncate", topic.name, key],
    queryFn: () => post<Truncation>(`${path}?dryRun=true`, JSON.parse(key)),
    retry: false,
    gcTime: 0,
    placeholderData: keepPreviousData,
  });
  return (
    <Confirm
      title={`Delete records of ${topic.name}`}
      verb="Delete"
      name={topic.name}
      onClose={onClose}
      run={async () => {
        await post<Truncation>(path, body);
        await changed();
      }}
    >
      <div className="pair">
        <div>
          <label htmlFor={ids[0]}>Those before</label>
          <select id={ids[0]} value={kind} onChange={(e) => setKind(e.target.value as Before)}>
            <option value="time">a time</option>
            <option value="offset">an offset</option>
            <option value="end">the end: all</option>
          </select>
        </div>
        <div>
          <label htmlFor={ids[2]}>In partition</label>
          <select id={ids[2]} value={partition} onChange={(e) => setPartition(e.target.value)}>
            <option value="">all</option>
            {topic.partitions.map((p) => (
              <option key={p.partition}>{p.partition}</option>
            ))}
          </select>
        </div>
      </div>
      {kind !== "end" && (
        <div>
          <label htmlFor={ids[1]}>{kind === "time" ? "Time, local" : "First offset that is kept"}</label>
          {kind === "time" ? (
            <TimeField id={ids[1]} ms={time} onChange={setTime} />
          ) : (
            <input id={ids[1]} type="number" min={0} value={offset} onChange={(e) => setOffset(e.target.value)} />
          )}
        </div>
      )}
      {preview.isPending && <Waiting what="what each partition would lose" />}
      {preview.isError && <Failure error={preview.error} />}
      {preview.data && !preview.isError && (
        <Sheet label="Records that each partition loses" limited table="preview" heads={["Partition", "Start now", "Start then", "Records lost"].map(num)}>
          <tbody>
            {preview.data.partitions.map((p) => (
              <tr key={p.partition}>
                <th scope="row" className="num">
                  {p.partition}
                </th>
                <td className="num">{p.from < 0 ? dash : count(p.from)}</td>
                <td className="num">{p.to < 0 ? dash : count(p.to)}</td>
                <td className="num">{count(p.records)}</td>
              </tr>
            ))}
          </tbody>
        </Sheet>
      )}
      {preview.data &&
        !preview.isError &&
        (preview.data.records === 0 ? <p className="muted">There are no records before that position: nothing would be deleted.</p> : <Warning>{count(preview.data.records)} records would be gone for good.</Warning>)}
    </Confirm>
  );
}

function Delete({ topic, onClose }: { topic: TopicDetail; onClose: () => void }) {
  const client = useQueryClient();
  const path = `/topics/${seg(topic.name)}`;
  const preview = useQuery({ queryKey: ["delete", topic.name], queryFn: () => remove<DeletedTopic>(`${path}?dryRun=true`), retry: false, gcTime: 0 });
  return (
    <Confirm
      title={`Delete ${topic.name}`}
      verb="Delete"
      name={topic.name}
      onClose={onClose}
      run={async () => {
        await client.cancelQueries({ queryKey: ["topic", topic.name] }); // a query in flight would not find the topic
        await remove<DeletedTopic>(path);
        navigate(paths.topics);
        client.removeQueries({ queryKey: ["topic", topic.name] });
        await client.invalidateQueries({ queryKey: ["topics"] });
      }}
    >
      {preview.isError && <Failure error={preview.error} />}
      <Warning>
        {preview.data ? `${count(preview.data.messages)} messages in ${count(preview.data.partitions)} partitions` : "All its messages"} would be gone for good, and the
        offsets of its consumers with them.
      </Warning>
      {topic.kind !== "other" && <Warning>smartlb uses this topic: it creates the topic again, empty, and everything computed from its records starts over.</Warning>}
    </Confirm>
  );
}
