import { hex } from "../../ui/format";
import type { Message } from "./types";

/** The text, quoted as one word for a POSIX shell. */
export function quote(text: string): string {
  return /^[A-Za-z0-9_./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The message as `smartlb kafka consume -o json` prints it. */
export function jsonOf(m: Message): string {
  const { topic, partition, offset, timestamp, key, keyBase64, value, valueBase64, headers } = m;
  return JSON.stringify({ topic, partition, offset, timestamp, key, keyBase64, value, valueBase64, headers });
}

/** A command that reads this message with kcat. */
export function kcatOf(m: Message, broker: string): string {
  return `kcat -C -b ${quote(broker)} -t ${quote(m.topic)} -p ${m.partition} -o ${m.offset} -c 1 -f '%T %k\\n%s\\n'`;
}

/** A command that sends this message again: key, value and headers byte for byte. */
export function produceOf(m: Message, broker: string): string {
  const { key, keyBase64, value, valueBase64, headers } = m;
  const line = JSON.stringify({ key, keyBase64, value, valueBase64, headers });
  return `printf '%s\\n' ${quote(line)} | smartlb kafka produce ${quote(m.topic)} --json -b ${quote(broker)}`;
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** The bytes of a value, key or header; null if there is none. */
export function bytesOf(text: string | undefined, base64: string | undefined): Uint8Array | null {
  if (base64 !== undefined) return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  return text === undefined ? null : new TextEncoder().encode(text);
}

/** The text of a key, value or header; its bytes in hex if it is not text. */
export function textOf(text: string | undefined, base64: string | undefined): string | null {
  if (text !== undefined) return text;
  const b = bytesOf(text, base64);
  if (b === null) return null;
  try {
    return decoder.decode(b);
  } catch {
    return Array.from(b.subarray(0, 4096), (x) => hex(x, 2)).join(" ");
  }
}

/** Lines of a hex dump: offset, bytes, and their ASCII characters. */
export function hexLines(b: Uint8Array, from = 0): string[] {
  const out: string[] = [];
  for (let at = 0; at < b.length; at += 16) {
    const line = b.subarray(at, at + 16);
    const pairs = Array.from(line, (x) => hex(x, 2));
    const ascii = Array.from(line, (x) => (x >= 32 && x < 127 ? String.fromCharCode(x) : ".")).join("");
    out.push(`${hex(from + at, 8)}  ${pairs.slice(0, 8).join(" ").padEnd(23)}  ${pairs.slice(8).join(" ").padEnd(23)}  ${ascii}`);
  }
  return out;
}
