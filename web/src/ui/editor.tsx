import { type RefObject, useEffect, useEffectEvent, useId, useImperativeHandle, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { Handle, Language, Mark } from "./codemirror";

export type { Mark };

/** Marks of one text. While the editor contains another text, they move with their lines. */
export interface Marks {
  of: string;
  list: readonly Mark[];
}

interface Props {
  label: string;
  language: Language;
  /** The height in lines; the user can change it. */
  rows: number;
  value: string;
  onChange: (text: string) => void;
  readOnly?: boolean;
  marks?: Marks;
  /** The id of the element that describes the mistakes. */
  describedBy?: string;
  /** Takes the function that selects a line, counted from 1. */
  goTo?: RefObject<((line: number) => void) | null>;
}

type Code = typeof import("./codemirror");

/** The cursor of the textarea when the editor replaces it. */
interface Cursor {
  from: number;
  to: number;
  focused: boolean;
}

const unmarked: Marks = { of: "", list: [] };

/**
 * An editor for YAML or JSON with line numbers, colours, undo, find, and marks at the lines of mistakes. Its code is
 * loaded when an editor is shown. Until then, or if the node does not have the code, a textarea takes its place; the
 * text and the cursor stay when the editor replaces it.
 */
export function Editor({ label, language, rows, value, onChange, readOnly = false, marks = unmarked, describedBy, goTo }: Props) {
  const [code, setCode] = useState<Code | null>(null);
  const [composing, setComposing] = useState(false); // an input method is in use: the textarea stays until it is done
  const cursor = useRef<Cursor | null>(null);
  const area = useRef<HTMLTextAreaElement | null>(null);
  const rich = useRef<Pick<Handle, "goTo" | "focus"> | null>(null);
  const id = useId();
  useEffect(() => {
    let shown = true;
    import("./codemirror").then(
      (m) => {
        if (shown) setCode(m);
      },
      () => {}, // the textarea stays
    );
    return () => {
      shown = false;
    };
  }, []);
  useImperativeHandle(
    goTo,
    () => (line: number) => {
      if (rich.current) rich.current.goTo(line);
      else if (area.current) selectLine(area.current, line);
    },
    [],
  );
  const ready = code !== null && !composing;
  const invalid = marks.list.some((m) => m.severity === "error");
  return (
    <div className="editor-field">
      <label id={`${id}-label`} htmlFor={ready ? undefined : id} onClick={() => rich.current?.focus()}>
        {label}
      </label>
      <div className={`editor ${readOnly ? "read-only" : ""} ${invalid ? "invalid" : ""}`} style={{ height: `calc(${rows} * 1.5em + 1rem)` }} aria-busy={!ready}>
        {ready ? (
          <Rich
            code={code}
            language={language}
            value={value}
            onChange={onChange}
            readOnly={readOnly}
            marks={marks}
            invalid={invalid}
            labelledBy={`${id}-label`}
            describedBy={[describedBy, `${id}-hint`].filter(Boolean).join(" ")}
            handle={rich}
            cursor={cursor}
          />
        ) : (
          <textarea
            id={id}
            ref={(e) => {
              area.current = e;
              return () => {
                area.current = null;
                if (e) cursor.current = { from: e.selectionStart, to: e.selectionEnd, focused: document.activeElement === e };
              };
            }}
            spellCheck={false}
            autoComplete="off"
            value={value}
            readOnly={readOnly}
            aria-invalid={invalid}
            aria-describedby={describedBy}
            onChange={(e) => onChange(e.target.value)}
            onCompositionStart={() => setComposing(true)}
            onCompositionEnd={() => setComposing(false)}
          />
        )}
      </div>
      <span id={`${id}-hint`} className={`note ${ready ? "" : "unseen"}`}>
        Tab indents. To leave the editor by keyboard, press Esc, then Tab.
      </span>
    </div>
  );
}

function selectLine(area: HTMLTextAreaElement, line: number) {
  const lines = area.value.split("\n");
  const from = lines.slice(0, line - 1).reduce((n, l) => n + l.length + 1, 0);
  area.focus();
  area.setSelectionRange(from, from + (lines[line - 1]?.length ?? 0));
  area.scrollTop = Math.max(0, (line - 5) * Number.parseFloat(getComputedStyle(area).lineHeight));
}

interface RichProps extends Required<Pick<Props, "language" | "value" | "onChange" | "readOnly" | "marks" | "describedBy">> {
  code: Code;
  invalid: boolean;
  labelledBy: string;
  handle: RefObject<Pick<Handle, "goTo" | "focus"> | null>;
  cursor: RefObject<Cursor | null>;
}

/** The editor itself, once its code is there. */
function Rich({ code, language, value, onChange, readOnly, marks, invalid, labelledBy, describedBy, handle, cursor }: RichProps) {
  const place = useRef<HTMLDivElement>(null);
  const own = useRef<Handle | null>(null);
  const options = useMemo(
    () => ({ language, readOnly, attributes: { "aria-labelledby": labelledBy, "aria-describedby": describedBy, "aria-invalid": String(invalid) } }),
    [language, readOnly, labelledBy, describedBy, invalid],
  );
  const changed = useEffectEvent((text: string) => onChange(text));
  const open = useEffectEvent((box: HTMLElement, onText: (text: string) => void) => code.open(box, value, options, onText));
  useLayoutEffect(() => {
    if (!place.current) return;
    const h = open(place.current, (text) => changed(text));
    own.current = h;
    const at = cursor.current;
    if (at) h.select(at.from, at.to);
    if (at?.focused) h.focus();
    return () => {
      own.current = null;
      h.close();
    };
  }, [cursor]);
  useImperativeHandle(handle, () => ({ goTo: (line) => own.current?.goTo(line), focus: () => own.current?.focus() }), []);
  useLayoutEffect(() => own.current?.setText(value), [value]);
  useLayoutEffect(() => own.current?.configure(options), [options]);
  useLayoutEffect(() => {
    if (marks.of === value) own.current?.setMarks(marks.list);
  }, [marks, value]);
  return <div ref={place} className="rich" />;
}
