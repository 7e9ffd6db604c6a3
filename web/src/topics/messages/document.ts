/**
 * JSON as it was written: every field, even if a name occurs twice, and numbers with all digits. The parser does not
 * recurse, so depth does not matter.
 */
export interface Value {
  kind: "object" | "array" | "string" | "number" | "word";
  /** The decoded string, or the source text of a number or word. */
  text: string;
  /** The keys of an object, in the order of its values. */
  names: string[];
  values: Value[];
}

const word = /true|false|null/y;
const num = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const string = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const blank = /[ \t\r\n]*/y;

/** The document, or null if the text is not JSON. */
export function parse(text: string): Value | null {
  let at = 0;
  const take = (r: RegExp): string | null => {
    r.lastIndex = at;
    const m = r.exec(text);
    if (!m) return null;
    at = r.lastIndex;
    return m[0];
  };
  const skip = () => take(blank);
  const root: Value[] = [];
  const open: Value[] = [];
  let name: string | null = null;
  const put = (v: Value): void => {
    const parent = open.at(-1);
    if (!parent) root.push(v);
    else {
      if (parent.kind === "object") parent.names.push(name ?? "");
      parent.values.push(v);
    }
    name = null;
  };
  let expectValue = true;
  for (;;) {
    skip();
    const c = text[at];
    const parent = open.at(-1);
    if (expectValue) {
      if (parent?.kind === "object" && name === null) {
        if (c === "}" && parent.values.length === 0) {
          at++;
          open.pop();
          expectValue = false;
          continue;
        }
        const s = take(string);
        if (s === null) return null;
        name = JSON.parse(s) as string;
        skip();
        if (text[at++] !== ":") return null;
        continue;
      }
      if (c === "]" && parent?.kind === "array" && parent.values.length === 0) {
        at++;
        open.pop();
        expectValue = false;
        continue;
      }
      if (c === "{" || c === "[") {
        const v: Value = { kind: c === "{" ? "object" : "array", text: "", names: [], values: [] };
        put(v);
        open.push(v);
        at++;
        continue;
      }
      let v: Value | null = null;
      if (c === '"') {
        const s = take(string);
        if (s !== null) v = { kind: "string", text: JSON.parse(s) as string, names: [], values: [] };
      } else {
        const n = take(num);
        const w = n === null ? take(word) : null;
        if (n !== null) v = { kind: "number", text: n, names: [], values: [] };
        else if (w !== null) v = { kind: "word", text: w, names: [], values: [] };
      }
      if (v === null) return null;
      put(v);
      expectValue = false;
      continue;
    }
    if (!parent) return at === text.length ? (root[0] ?? null) : null;
    if (c === ",") {
      at++;
      expectValue = true;
      if (parent.kind === "array") {
        skip();
        if (text[at] === "]") return null;
      } else {
        skip();
        if (text[at] !== '"') return null;
      }
    } else if (c === (parent.kind === "object" ? "}" : "]")) {
      at++;
      open.pop();
    } else return null;
  }
}

const plain = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Paths of the fields of a document, as expressions name them: value.metrics.rps. At most so many. */
export function fieldsOf(v: Value, most = 40): { path: string; kind: Value["kind"]; sample: string }[] {
  const out: { path: string; kind: Value["kind"]; sample: string }[] = [];
  const queue: { v: Value; path: string; depth: number }[] = [{ v, path: "value", depth: 0 }];
  for (let next = queue.shift(); next && out.length < most; next = queue.shift()) {
    const { v: at, path, depth } = next;
    if (at.kind !== "object") {
      if (path !== "value") out.push({ path, kind: at.kind, sample: at.text.slice(0, 60) });
      continue;
    }
    if (depth > 4) continue;
    at.values.slice(0, most).forEach((inner, n) => {
      const name = at.names[n] ?? "";
      queue.push({ v: inner, path: plain.test(name) ? `${path}.${name}` : `${path}[${JSON.stringify(name)}]`, depth: depth + 1 });
    });
  }
  return out;
}
