import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, type ReactNode, useEffect, useRef } from "react";
import { bytes, isToday } from "../../ui/format";
import { useKeys } from "../../ui/keys";
import { Time } from "../../ui/time";
import { textOf } from "./copy";
import { visible } from "./safe";
import { idOf, type Message } from "./types";

interface Props {
  list: Message[];
  open: string;
  /** Opens a message. onOpen and onChoose are the same functions in every call, because the rows are made anew for others. */
  onOpen: (m: Message) => void;
  dim: boolean;
  /** Shown if there is no row. */
  none: ReactNode;
  chosen?: ReadonlySet<string>;
  onChoose?: (m: Message) => void;
}

const height = 26; // px of a row

/**
 * Messages, one per line; the page contains only the rows in sight. Rows are keyed by their place, so new messages
 * change the content of the rows and move nothing.
 */
export function Rows({ list, open, onOpen, dim, none, chosen, onChoose }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
  const virtual = useVirtualizer({ count: list.length, getScrollElement: () => box.current, estimateSize: () => height * rem, overscan: 10 });
  const at = useRef(-1); // the row that j and k go from
  const going = useRef<number | null>(null); // the row that gets the focus in the next frame; a second key may come before that frame
  useEffect(() => {
    if (open) at.current = list.findIndex((m) => idOf(m) === open);
  }, [list, open]);
  const go = (by: number) => () => {
    const focus = document.activeElement;
    const focused = focus instanceof HTMLElement && focus.dataset.n !== undefined ? Number(focus.dataset.n) : null;
    const to = Math.min(Math.max((going.current ?? focused ?? at.current) + by, 0), list.length - 1);
    const m = list[to];
    if (!m) return;
    at.current = to;
    going.current = to;
    virtual.scrollToIndex(to);
    if (open) onOpen(m); // the open message follows
    requestAnimationFrame(() => {
      box.current?.querySelector<HTMLElement>(`[data-n="${to}"]`)?.focus();
      if (going.current === to) going.current = null;
    });
  };
  useKeys({ j: go(1), k: go(-1) });
  return (
    <div className={`rows ${dim ? "stale" : ""} ${list.some((m) => !isToday(m.timestamp)) ? "dated" : ""}`} ref={box}>
      {list.length === 0 && <div className="none">{none}</div>}
      <div role="list" aria-label="Messages" style={{ height: virtual.getTotalSize(), position: "relative" }}>
        {virtual.getVirtualItems().map((v) => {
          const m = list[v.index];
          return m && <Line key={v.index} m={m} n={v.index} of={list.length} top={v.start} height={v.size} open={idOf(m) === open} chosen={chosen?.has(idOf(m))} onOpen={onOpen} onChoose={onChoose} />;
        })}
      </div>
    </div>
  );
}

interface LineProps {
  m: Message;
  n: number;
  of: number;
  top: number;
  height: number;
  open: boolean;
  /** Undefined if messages cannot be selected. */
  chosen: boolean | undefined;
  onOpen: (m: Message) => void;
  onChoose: ((m: Message) => void) | undefined;
}

/** One message in a line; it is drawn again only if it changed. */
const Line = memo(function Line({ m, n, of, top, height, open, chosen, onOpen, onChoose }: LineProps) {
  const pressed = useRef<Message | null>(null); // the message under the pointer when the button went down
  const id = idOf(m);
  return (
    <div role="listitem" className={`message-line ${open ? "selected" : ""}`} aria-setsize={of} aria-posinset={n + 1} style={{ height, transform: `translateY(${top}px)` }}>
      {chosen !== undefined && <input type="checkbox" aria-label={`Select ${id}`} checked={chosen} onChange={() => onChoose?.(m)} />}
      <button
        type="button"
        data-n={n}
        className={`message ${open ? "selected" : ""}`}
        aria-current={open ? "true" : undefined}
        onPointerDown={() => {
          pressed.current = m;
        }}
        onClick={() => {
          onOpen(pressed.current ?? m);
          pressed.current = null;
        }}
      >
        <span className="m-time">
          <Time at={m.timestamp} millis />
        </span>
        <span className="m-at num">{id}</span>
        <span className="m-key">
          <Short text={textOf(m.key, m.keyBase64)} none="no key" />
        </span>
        <span className="m-value">
          {m.check && !m.check.conforms && (
            <span className="tag bad" title={m.check.errors.join("\n")}>
              schema
            </span>
          )}
          <Short text={textOf(m.value, m.valueBase64)} none="tombstone" />
        </span>
        <span className="m-size num">{bytes(m.valueSize)}</span>
      </button>
    </div>
  );
});

/** The beginning of a text; a missing or empty text is described in words. */
function Short({ text, none }: { text: string | null; none: string }) {
  if (text === null) return <i className="muted">{none}</i>;
  if (text === "") return <i className="muted">empty</i>;
  // Nearly every value begins with its timestamp, and the row has one already.
  return <bdi>{visible(text.slice(0, 300).replace(/^\{"timestamp":"[^"]*",/, "{… "))}</bdi>;
}
