// @vitest-environment jsdom
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useRef, useState } from "react";
import { afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { Editor, type Marks } from "./editor";

/** jsdom has no layout and no style sheets without an element. */
class Sheet {
  text = "";
  replaceSync(text: string) {
    this.text = text;
  }
}

beforeAll(() => import("./codemirror"));
beforeEach(() => {
  vi.stubGlobal("CSSStyleSheet", Sheet);
  Object.assign(document, { adoptedStyleSheets: [] });
  Range.prototype.getClientRects = () => [] as unknown as DOMRectList;
  Range.prototype.getBoundingClientRect = () => new DOMRect();
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const noMarks: Marks = { of: "", list: [] };

function Form({ text, marks = noMarks, readOnly = false, log }: { text: string; marks?: Marks; readOnly?: boolean; log: string[] }) {
  const [outer, setOuter] = useState(text);
  const [value, setValue] = useState(text);
  const goTo = useRef<((line: number) => void) | null>(null);
  if (outer !== text) {
    setOuter(text);
    setValue(text);
  }
  const change = (t: string) => {
    log.push(t);
    setValue(t);
  };
  return (
    <>
      <Editor label="Document" language="yaml" rows={5} value={value} onChange={change} readOnly={readOnly} marks={marks} goTo={goTo} />
      <button type="button" onClick={() => goTo.current?.(2)}>
        line 2
      </button>
    </>
  );
}

async function shown(props: Omit<Parameters<typeof Form>[0], "log">) {
  const log: string[] = [];
  const { rerender } = render(<Form {...props} log={log} />);
  await loaded();
  const field = () => screen.getByLabelText("Document");
  return { log, field, user: userEvent.setup(), show: (p: Omit<Parameters<typeof Form>[0], "log">) => rerender(<Form {...p} log={log} />) };
}

const loaded = () => vi.waitFor(() => expect(document.querySelector(".cm-content")).not.toBeNull(), 60_000);

const lines = () => [...document.querySelectorAll(".cm-line")].map((l) => l.textContent);

it("shows the text with line numbers, and gives what the user changes", async () => {
  const { log, field, user } = await shown({ text: "a: 1\nb: 2" });
  expect(lines()).toEqual(["a: 1", "b: 2"]);
  expect(screen.getByRole("textbox", { name: "Document" })).toBe(field());
  expect([...document.querySelectorAll(".cm-lineNumbers .cm-gutterElement")].map((e) => e.textContent)).toEqual(expect.arrayContaining(["1", "2"]));
  field().focus();
  await user.keyboard("{Control>}a{/Control}");
  await user.paste("c: 3\r\nd: 4\n");
  expect(log).toEqual(["c: 3\nd: 4\n"]);
  expect(lines()).toEqual(["c: 3", "d: 4", ""]);
});

it("shows another text as soon as it is given one, without a way back to the first", async () => {
  const { log, field, user, show } = await shown({ text: "first" });
  show({ text: "second" });
  expect(lines()).toEqual(["second"]);
  field().focus();
  await user.keyboard("{Control>}z{/Control}");
  expect([lines(), log]).toEqual([["second"], []]);
});

it("undoes what was typed", async () => {
  const { log, field, user } = await shown({ text: "a" });
  field().focus();
  await user.paste("x");
  await user.keyboard("{Control>}z{/Control}");
  expect(log).toEqual(["xa", "a"]);
});

const marked: Marks = { of: "a: 1\nb: x", list: [{ line: 2, text: "b: not a number", severity: "error" }, { line: 0, text: "the whole", severity: "warning" }] };

it("marks the line of a mistake, and moves the mark with it", async () => {
  const { field, user, show } = await shown({ text: marked.of, marks: marked });
  const wrong = () => [...document.querySelectorAll(".cm-lintRange-error")].map((e) => e.textContent);
  expect(wrong()).toEqual(["b: x"]);
  expect(field().getAttribute("aria-invalid")).toBe("true");
  field().focus();
  await user.paste("new: 0\n");
  expect(wrong()).toEqual(["b: x"]); // the marks are still those of the earlier text
  show({ text: marked.of, marks: { of: "new: 0\na: 1\nb: x", list: [] } });
  expect(wrong()).toEqual([]);
  expect(field().getAttribute("aria-invalid")).toBe("false");
});

it("goes to a line", async () => {
  const { field, user } = await shown({ text: "a: 1\nb: 2\nc: 3" });
  await user.click(screen.getByRole("button", { name: "line 2" }));
  expect(document.activeElement).toBe(field());
  await user.paste("x");
  expect(lines()).toEqual(["a: 1", "x", "c: 3"]);
});

it("read-only: the text stays", async () => {
  const { log, field, user, show } = await shown({ text: "a: 1", readOnly: true });
  expect(field().getAttribute("aria-readonly")).toBe("true");
  field().focus();
  await user.paste("x");
  expect([lines(), log]).toEqual([["a: 1"], []]);
  show({ text: "a: 1" });
  await user.paste("x");
  expect(log).toEqual(["xa: 1"]);
});

it("Tab indents; after Escape it leaves, and a second Escape is not the editor's", async () => {
  const { log, field } = await shown({ text: "a: 1" });
  /** Presses a key and returns whether the editor used it. */
  const uses = (key: string, keyCode: number) => !fireEvent.keyDown(field(), { key, keyCode });
  field().focus();
  expect([uses("Tab", 9), log]).toEqual([true, ["  a: 1"]]);
  expect([uses("Escape", 27), uses("Tab", 9)]).toEqual([true, false]);
  expect([uses("ArrowRight", 39), uses("Tab", 9), log.length]).toEqual([true, true, 2]); // another key ends it
  fireEvent.keyDown(field(), { key: "a", keyCode: 65, ctrlKey: true }); // a selection changes nothing
  expect([uses("Escape", 27), uses("Escape", 27), log.length]).toEqual([true, false, 2]);
});

it("wraps lines of JSON, unless one is very long", async () => {
  const field = (text: string) => <Editor label="Value" language="json" rows={5} value={text} onChange={() => {}} />;
  const { rerender } = render(field("[1]"));
  await loaded();
  const wraps = () => document.querySelector(".cm-lineWrapping") !== null;
  expect(wraps()).toBe(true);
  rerender(field(`["${"x".repeat(20_000)}"]`));
  expect(wraps()).toBe(false);
});

it("a textarea takes its place until the code is there; text and cursor stay", async () => {
  const log: string[] = [];
  render(<Form text="b" log={log} />);
  const area = screen.getByRole<HTMLTextAreaElement>("textbox", { name: "Document" });
  expect(area.tagName).toBe("TEXTAREA");
  area.focus();
  area.setSelectionRange(0, 0);
  const user = userEvent.setup();
  await loaded();
  expect(document.activeElement).toBe(document.querySelector(".cm-content"));
  await user.paste("a");
  expect(log).toEqual(["ab"]);
});

it("its styles are sheets without an element, as the Content-Security-Policy demands", async () => {
  await shown({ text: "a" });
  expect(document.querySelector("style")).toBeNull();
  const sheets = document.adoptedStyleSheets as unknown as Sheet[];
  expect(sheets.some((s) => s.text.includes("var(--mono)"))).toBe(true);
  expect(sheets.findIndex((s) => s.text.includes("var(--mono)"))).toBeGreaterThan(sheets.findIndex((s) => s.text.includes("monospace"))); // ours after CodeMirror's own
});
