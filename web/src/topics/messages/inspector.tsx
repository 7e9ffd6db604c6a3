import { useQuery } from "@tanstack/react-query";
import { get, hasCode, type Node, seg } from "../../api/client";
import { useOverview } from "../../live/overview";
import { Copy } from "../../ui/copy";
import { bytes, count, local } from "../../ui/format";
import { Fact } from "../../ui/fact";
import { CloseIcon } from "../../ui/icons";
import { Heads } from "../../ui/sheet";
import { Failure, Waiting } from "../../ui/states";
import { jsonOf, kcatOf, produceOf, textOf } from "./copy";
import { Safe } from "./safe";
import { type Detail, type Header, idOf, type Message } from "./types";
import { rawOf, ValueView } from "./value";

interface Props {
  topic: string;
  /** PARTITION:OFFSET */
  id: string;
  /** The row's data, so that the message is shown at once. */
  known: Message | undefined;
  onClose: () => void;
  onAgain: (m: Message) => void;
  /** The reason why the user may not send to the topic; empty if the user may. */
  forbidden: string;
}

const part = 64 * 1024;

/** Everything about one message. */
export function Inspector({ topic, id, known, onClose, onAgain, forbidden }: Props) {
  const [partition = "", offset = ""] = id.split(":");
  const detail = useQuery({
    queryKey: ["message", topic, partition, offset],
    queryFn: ({ signal }) => get<Detail>(`/topics/${seg(topic)}/partitions/${seg(partition)}/offsets/${seg(offset)}?bytes=${part}`, signal),
    staleTime: Number.POSITIVE_INFINITY, // a message does not change
    retry: 1,
  });
  const m = detail.data?.message ?? known;
  const gone = hasCode(detail.error, "not-found");
  return (
    <aside className="reader" aria-label={`Message ${id}`}>
      <header>
        <h2>
          Partition {partition}, offset {offset}
        </h2>
        <button type="button" className="quiet" onClick={onClose} aria-label="Close the message" title="Close (Esc)">
          <CloseIcon />
        </button>
      </header>
      {detail.isError && <Failure error={gone && known ? new Error("This message is no longer in the topic: the page shows the copy that it read before.") : detail.error} again={() => void detail.refetch()} />}
      {m ? <Facts m={m} detail={detail.data} onAgain={onAgain} forbidden={forbidden} /> : detail.isPending && <Waiting what="the message" />}
    </aside>
  );
}

function Facts({ m, detail, onAgain, forbidden }: { m: Message; detail: Detail | undefined } & Pick<Props, "onAgain" | "forbidden">) {
  const broker = useBroker();
  const partial = m.valueCut || m.keyCut || m.headersCut;
  const why = partial ? "Only a part is loaded: export the message, or download the value" : "";
  const batch = detail?.batch;
  return (
    <>
      <div className="actions copies">
        <Copy text={() => jsonOf(m)}>Copy JSON</Copy>
        <Copy text={broker && (() => kcatOf(m, broker))}>Copy as kcat</Copy>
        {why ? (
          <button type="button" disabled title={why}>
            Copy as smartlb
          </button>
        ) : (
          <Copy text={broker && (() => produceOf(m, broker))}>Copy as smartlb</Copy>
        )}
        <button type="button" disabled={forbidden !== "" || why !== ""} title={forbidden || why || "Opens it for editing first"} onClick={() => onAgain(m)}>
          Send again …
        </button>
      </div>
      <dl className="pairs">
        <Fact name="time">
          {local(m.timestamp, true)}
          <span className="muted"> · {m.timestamp}</span>
          {m.timestampType !== "create" && <span className="muted"> · {m.timestampType === "append" ? "the broker's clock" : "no timestamp type"}</span>}
        </Fact>
        <Fact name="key">
          <Said text={textOf(m.key, m.keyBase64)} none="none" />
          {m.keyBase64 !== undefined && <span className="tag warn">not text</span>}
          {(m.keyCut || m.keyBase64 !== undefined) && (
            <a href={rawOf(m, "key")} download>
              Download {bytes(m.keySize)}
            </a>
          )}
        </Fact>
        <Fact name="size">
          {bytes(m.valueSize)} <span className="muted">value · {bytes(m.keySize)} key · {bytes(m.headersSize)} headers</span>
        </Fact>
        <Fact name="batch">
          {m.compression === "none" ? "not compressed" : m.compression}
          {batch && (
            <span className="muted">
              {" "}
              · {count(batch.records)} {batch.records === 1 ? "message" : "messages"} in {bytes(batch.bytes)}
              {batch.transactional && " · transactional"}
            </span>
          )}
          <span className="muted"> · leader epoch {m.leaderEpoch}</span>
        </Fact>
        {m.check && (
          <Fact name="schema">
            {m.check.conforms ? (
              <span className="ok-text">conforms</span>
            ) : (
              <ul className="bad-text">
                {m.check.errors.map((e) => (
                  <li key={e}>
                    <Safe text={e} />
                  </li>
                ))}
              </ul>
            )}
          </Fact>
        )}
        {detail?.masked && <Fact name="masking">Parts of this topic's messages are masked.</Fact>}
      </dl>
      {(m.headers?.length ?? 0) > 0 && <Headers list={m.headers ?? []} cut={m.headersCut === true} />}
      <ValueView key={idOf(m)} m={m} />
    </>
  );
}

function Said({ text, none }: { text: string | null; none: string }) {
  if (text === null) return <i className="muted">{none}</i>;
  if (text === "") return <i className="muted">empty</i>;
  return <Safe text={text.slice(0, 4096)} />;
}

function Headers({ list, cut }: { list: Header[]; cut: boolean }) {
  return (
    <table className="plain headers">
      <caption className="visually-hidden">Headers</caption>
      <Heads of={["Header", "Value"]} />
      <tbody>
        {list.map((h, n) => (
          <tr key={n}>
            <th scope="row">
              <Safe text={h.key} />
            </th>
            <td>
              <Said text={textOf(h.value, h.valueBase64)} none="no value" />
            </td>
          </tr>
        ))}
      </tbody>
      {cut && (
        <tfoot>
          <tr>
            <td colSpan={2} className="muted">
              Only a part is shown. An export has all of it.
            </td>
          </tr>
        </tfoot>
      )}
    </table>
  );
}

/** An address of the cluster, for commands; undefined until the node has answered. */
function useBroker(): string | undefined {
  const node: Node | undefined = useOverview()?.node;
  return node && (node.kafka.brokers.join(",") || "localhost:9092");
}
