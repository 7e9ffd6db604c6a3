import { useState } from "react";
import { count } from "../../ui/format";
import type { Value } from "./document";
import { Safe } from "./safe";

const page = 100; // children drawn at once
const openDepth = 2;
const deepest = 24; // levels with an indent

/** A JSON document as a tree. Only open nodes are drawn. */
export function Tree({ value, name, depth = 0 }: { value: Value; name?: string; depth?: number }) {
  const inner = value.values.length;
  const [open, setOpen] = useState(depth < openDepth && inner <= page);
  const [shown, setShown] = useState(page);
  const label = name === undefined ? null : <span className="j-key">{<Safe text={JSON.stringify(name)} />}</span>;
  if (value.kind !== "object" && value.kind !== "array") {
    return (
      <div className="j-line">
        {label}
        {label && ": "}
        <Leaf value={value} />
      </div>
    );
  }
  const [left, right] = value.kind === "object" ? "{}" : "[]";
  if (inner === 0) {
    return (
      <div className="j-line">
        {label}
        {label && ": "}
        {left}
        {right}
      </div>
    );
  }
  return (
    <div>
      <div className="j-line">
        <button type="button" className="j-fold" aria-expanded={open} onClick={() => setOpen(!open)}>
          <span aria-hidden="true">{open ? "▾" : "▸"}</span> {label}
          {label && ": "}
          {left}
          {!open && (
            <span className="muted">
              {" "}
              {count(inner)} {value.kind === "object" ? (inner === 1 ? "field" : "fields") : inner === 1 ? "element" : "elements"} {right}
            </span>
          )}
        </button>
      </div>
      {open && (
        <>
          <div className={depth < deepest ? "j-inner" : ""}>
            {value.values.slice(0, shown).map((v, n) => (
              <Tree key={n} value={v} depth={depth + 1} {...(value.kind === "object" ? { name: value.names[n] ?? "" } : {})} />
            ))}
            {inner > shown && (
              <button type="button" className="j-more" onClick={() => setShown(shown + 10 * page)}>
                {count(Math.min(10 * page, inner - shown))} more of {count(inner - shown)}
              </button>
            )}
          </div>
          <div className="j-line">{right}</div>
        </>
      )}
    </div>
  );
}

const longest = 2000; // characters of a string that are drawn at once

function Leaf({ value }: { value: Value }) {
  const [all, setAll] = useState(false);
  if (value.kind !== "string") return <span className={value.kind === "number" ? "j-number" : "j-word"}>{value.text}</span>;
  const text = JSON.stringify(all ? value.text : value.text.slice(0, longest));
  return (
    <span className="j-string">
      <Safe text={text} />
      {!all && value.text.length > longest && (
        <button type="button" className="j-more" onClick={() => setAll(true)}>
          all {count(value.text.length)} characters
        </button>
      )}
    </span>
  );
}
