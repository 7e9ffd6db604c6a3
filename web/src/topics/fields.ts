/** A JSON Schema as rows of a table. */
export interface Field {
  path: string;
  type: string;
  required: boolean;
  about: string;
}

type Node = Record<string, unknown>;
const isNode = (v: unknown): v is Node => typeof v === "object" && v !== null && !Array.isArray(v);

/** The fields of a schema in its order; the fields of an object follow the object. */
export function fieldsOf(schema: unknown): Field[] {
  const out: Field[] = [];
  if (isNode(schema)) walk(schema, schema, "", out, 0);
  return out;
}

const deepest = 12; // a schema that refers to itself ends there

function walk(root: Node, at: Node, prefix: string, out: Field[], depth: number): void {
  if (depth > deepest) return;
  const node = resolved(root, at);
  const required = Array.isArray(node.required) ? node.required : [];
  for (const [name, raw] of Object.entries(isNode(node.properties) ? node.properties : {})) {
    if (!isNode(raw)) continue;
    const field = resolved(root, raw);
    const path = prefix ? `${prefix}.${name}` : name;
    out.push({ path, type: typeOf(root, field), required: required.includes(name), about: aboutOf(field) });
    walk(root, field, path, out, depth + 1);
    if (isNode(field.items)) walk(root, field.items, `${path}[]`, out, depth + 1);
  }
}

/** A node merged with the schema that it refers to; its own keys win. */
function resolved(root: Node, node: Node, depth = 0): Node {
  if (typeof node.$ref !== "string" || !node.$ref.startsWith("#") || depth > deepest) return node;
  let target: unknown = root;
  for (const part of node.$ref.slice(2).split("/").filter(Boolean)) target = isNode(target) ? target[part.replaceAll("~1", "/").replaceAll("~0", "~")] : undefined;
  const { $ref: _, ...own } = node;
  return isNode(target) ? { ...resolved(root, target, depth + 1), ...own } : node;
}

function typeOf(root: Node, f: Node): string {
  if (Array.isArray(f.enum)) return f.enum.map((v) => JSON.stringify(v)).join(" | ");
  if ("const" in f) return JSON.stringify(f.const);
  const types = Array.isArray(f.type) ? f.type.join(" | ") : typeof f.type === "string" ? f.type : "";
  if (types === "array" && isNode(f.items)) return `array of ${typeOf(root, resolved(root, f.items)) || "anything"}`;
  return [types || "anything", typeof f.format === "string" ? `(${f.format})` : ""].filter(Boolean).join(" ");
}

const bounds: [key: string, word: string][] = [
  ["minimum", "at least"],
  ["exclusiveMinimum", "above"],
  ["maximum", "at most"],
  ["exclusiveMaximum", "below"],
  ["minLength", "characters at least"],
  ["maxLength", "characters at most"],
  ["pattern", "matches"],
];

const longest = 40; // characters of a pattern that is still readable

/** A bound that every number meets, or a very long pattern, is left out; the raw schema has both. */
function tells(bound: unknown): boolean {
  return typeof bound === "number" ? Math.abs(bound) < Number.MAX_SAFE_INTEGER : String(bound).length <= longest;
}

function aboutOf(f: Node): string {
  const words = typeof f.description === "string" ? [f.description.replace(/\.$/, "")] : [];
  const limits = bounds.filter(([k]) => k in f && tells(f[k])).map(([k, w]) => `${w} ${String(f[k])}`);
  return [...words, limits.join(", ")].filter(Boolean).join("; ");
}
