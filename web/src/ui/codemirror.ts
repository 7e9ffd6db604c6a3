import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { json } from "@codemirror/lang-json";
import { yaml } from "@codemirror/lang-yaml";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { search, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState, type Extension, StateField, type Text } from "@codemirror/state";
import { EditorView, highlightActiveLine, highlightActiveLineGutter, highlightSpecialChars, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { StyleModule } from "style-mod";

/**
 * CodeMirror as ui/editor.tsx uses it: languages, colours, keys. It is a chunk of its own, and only editor.tsx imports
 * it, when an editor is shown.
 */

export type Language = "yaml" | "json" | "text";

/** A mistake or a warning about a line. Lines count from 1; line 0 is the text as a whole and has no mark. */
export interface Mark {
  line: number;
  text: string;
  severity: "error" | "warning";
}

export interface Options {
  language: Language;
  readOnly: boolean;
  /** Attributes of the element that has the focus, such as its label. */
  attributes: Record<string, string>;
}

/** An open editor. */
export interface Handle {
  /** Shows another text as a new document, without undo history. The text that the editor has already changes nothing. */
  setText: (text: string) => void;
  configure: (options: Options) => void;
  setMarks: (marks: readonly Mark[]) => void;
  /** Selects a line and shows it with some lines around it. */
  goTo: (line: number) => void;
  select: (from: number, to: number) => void;
  focus: () => void;
  close: () => void;
}

const marksAtMost = 500; // the list below the editor shows fewer

/**
 * Adds an editor to parent. onChange takes the text after each change that the user made; line ends are \n, as in a
 * textarea.
 */
export function open(parent: HTMLElement, text: string, options: Options, onChange: (text: string) => void): Handle {
  let known = text;
  let current = options;
  const configuration = new Compartment();
  const listen = EditorView.updateListener.of((u) => {
    if (!u.docChanged) return;
    known = u.state.doc.toString();
    onChange(known);
  });
  const stateOf = (t: string) => EditorState.create({ doc: t, extensions: [always, listen, configuration.of(extensionsOf(current))] });
  const view = new EditorView({ parent, state: stateOf(text) });
  return {
    setText: (t) => {
      if (t === known) return;
      known = t;
      view.setState(stateOf(t));
    },
    configure: (o) => {
      if (o === current) return;
      current = o;
      view.dispatch({ effects: configuration.reconfigure(extensionsOf(o)) });
    },
    setMarks: (marks) => view.dispatch(setDiagnostics(view.state, diagnosticsOf(view.state.doc, marks))),
    goTo: (n) => {
      const line = view.state.doc.line(Math.min(Math.max(n, 1), view.state.doc.lines));
      view.dispatch({ selection: { anchor: line.from, head: line.to }, effects: EditorView.scrollIntoView(line.from, { y: "center" }) });
      view.focus();
    },
    select: (from, to) => {
      const end = view.state.doc.length;
      view.dispatch({ selection: { anchor: Math.min(from, end), head: Math.min(to, end) }, scrollIntoView: true });
    },
    focus: () => view.focus(),
    close: () => view.destroy(),
  };
}

function diagnosticsOf(doc: Text, marks: readonly Mark[]): Diagnostic[] {
  return marks
    .filter((m) => m.line >= 1 && m.line <= doc.lines)
    .slice(0, marksAtMost)
    .map((m) => {
      const line = doc.line(m.line);
      const indent = line.text.length - line.text.trimStart().length;
      return { from: indent < line.length ? line.from + indent : line.from, to: line.to, severity: m.severity, message: m.text };
    });
}

function extensionsOf({ language, readOnly, attributes }: Options): Extension[] {
  return [
    language === "yaml" ? yaml() : language === "json" ? json() : [],
    language === "yaml" ? [] : wrapping, // in YAML the indent of a line has a meaning, so lines do not wrap
    EditorState.readOnly.of(readOnly),
    EditorView.contentAttributes.of({ tabindex: "0", ...attributes }), // it has the focus anyway; axe wants the attribute
  ];
}

const longLine = 10_000; // characters; a browser takes 100 ms and more for each key in a longer line that wraps

const hasLongLine = StateField.define<boolean>({
  create: (s) => isLong(s.doc),
  update: (before, tr) => (tr.docChanged ? isLong(tr.newDoc) : before),
});

function isLong(doc: Text): boolean {
  for (const line of doc.iterLines()) if (line.length > longLine) return true;
  return false;
}

/** Wraps lines, unless one is so long that this would be slow. */
const wrapping: Extension = [hasLongLine, EditorView.contentAttributes.compute([hasLongLine], (s): Record<string, string> => (s.field(hasLongLine) ? {} : { class: "cm-lineWrapping" }))];

const untilOtherKey = 3_600_000; // ms; any key other than Tab ends it sooner

/**
 * Tab indents, and Escape lets the next Tab leave the editor, so that it does not hold users of a keyboard. The first
 * Escape stays in the editor: around it may be a dialog that an Escape closes, with the text. The second one reaches it.
 */
function leaveByEscape(): Extension {
  let escaped = false;
  const escape = (view: EditorView) => {
    if (escaped) return false;
    escaped = true;
    view.setTabFocusMode(untilOtherKey);
    return true;
  };
  const reset = () => {
    escaped = false;
  };
  return [
    EditorView.domEventObservers({ keydown: (e) => (e.key === "Escape" ? undefined : reset()), blur: reset, pointerdown: reset }),
    keymap.of([{ key: "Escape", run: escape }]),
  ];
}

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.keyword, tags.typeName], color: "var(--accent)" },
  { tag: tags.string, color: "var(--ok)" },
  { tag: [tags.number, tags.bool, tags.null, tags.labelName], color: "var(--warn)" },
  { tag: [tags.comment, tags.meta], color: "var(--muted)" },
]);

const theme = EditorView.theme({
  "&": { height: "100%", color: "inherit", backgroundColor: "transparent" },
  "&.cm-focused": { outline: "none" }, // the box around it has one
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.5", overflow: "auto" },
  ".cm-content": { caretColor: "var(--text)", padding: "var(--s-2) 0" },
  ".cm-gutters": { backgroundColor: "var(--surface)", color: "var(--muted)", borderRight: "1px solid var(--line)" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--hover)" },
  ".cm-activeLineGutter": { color: "var(--text)" },
  ".cm-matchingBracket, &.cm-focused .cm-matchingBracket": { backgroundColor: "var(--chosen)" },
  ".cm-nonmatchingBracket, &.cm-focused .cm-nonmatchingBracket": { backgroundColor: "var(--bad-bg)" },
  ".cm-specialChar": { color: "var(--bad)" },
  ".cm-searchMatch": { backgroundColor: "var(--warn-bg)", outline: "1px solid var(--warn)" },
  ".cm-searchMatch-selected": { backgroundColor: "var(--chosen)" },
  ".cm-panels": { backgroundColor: "var(--surface)", color: "inherit", borderColor: "var(--line)" },
  ".cm-panels-top": { borderBottom: "1px solid var(--line)" },
  ".cm-panels-bottom": { borderTop: "1px solid var(--line)" },
  ".cm-panel": { fontFamily: "var(--sans)", fontSize: "var(--t-m)" },
  ".cm-panel.cm-search label": { display: "inline-flex", alignItems: "center", gap: "var(--s-1)", margin: "0 var(--s-2) 0 0", fontSize: "inherit" },
  ".cm-textfield": { minHeight: "1.75rem", width: "auto", border: "1px solid var(--edge)", borderRadius: "4px", backgroundColor: "var(--raised)", color: "inherit", fontSize: "inherit" },
  ".cm-button": { backgroundImage: "none", backgroundColor: "var(--raised)", border: "1px solid var(--edge)", borderRadius: "4px", color: "inherit", fontSize: "inherit" },
  ".cm-button:active": { backgroundImage: "none", backgroundColor: "var(--chosen)" },
  ".cm-panel.cm-panel-lint ul [aria-selected]": { backgroundColor: "var(--chosen)" },
  ".cm-panel.cm-search [name=close]": { color: "inherit" },
  ".cm-tooltip": { border: "1px solid var(--edge)", backgroundColor: "var(--raised)", color: "var(--text)" },
  ".cm-diagnostic": { whiteSpace: "pre-wrap", overflowWrap: "anywhere" },
  ".cm-diagnostic-error": { borderLeftColor: "var(--bad)" },
  ".cm-diagnostic-warning": { borderLeftColor: "var(--warn)" },
  ".cm-lintRange": { backgroundImage: "none", textDecoration: "underline wavy" },
  ".cm-lintRange-error": { backgroundImage: "none", textDecorationColor: "var(--bad)" },
  ".cm-lintRange-warning": { backgroundImage: "none", textDecorationColor: "var(--warn)" },
  ".cm-lintRange-active": { backgroundColor: "var(--bad-bg)" },
});

const always: Extension = [
  lintGutter(),
  lineNumbers(),
  highlightActiveLineGutter(),
  highlightActiveLine(),
  highlightSpecialChars(),
  bracketMatching(),
  history(),
  search({ top: true }),
  syntaxHighlighting(colours),
  theme,
  EditorState.tabSize.of(2),
  keymap.of([...searchKeymap, ...historyKeymap, ...lintKeymap, ...defaultKeymap.filter((k) => k.key !== "Escape"), indentWithTab]),
  leaveByEscape(),
];

/**
 * The page's Content-Security-Policy forbids style elements, and style-mod writes one into every document (only in
 * shadow roots it does not). Style sheets without an element are not forbidden. Later modules have precedence.
 */
const sheets = new Map<StyleModule, CSSStyleSheet>();

StyleModule.mount = (_root, modules) => {
  for (const m of [modules].flat()) {
    const sheet = sheets.get(m) ?? new CSSStyleSheet();
    if (!sheets.has(m)) sheet.replaceSync(m.getRules());
    sheets.delete(m); // the map is in the order of the last mount
    sheets.set(m, sheet);
  }
  const ours = new Set(sheets.values());
  document.adoptedStyleSheets = [...document.adoptedStyleSheets.filter((s) => !ours.has(s)), ...ours];
};
