import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { bytesOf, hexLines, jsonOf, kcatOf, produceOf, quote, textOf } from "./copy";
import { fieldsOf, parse, type Value } from "./document";
import { addressOf, callOf, isLive, noQuery, queryOf } from "./query";
import { visible } from "./safe";
import { EventReader, noSearch, type SearchEvent, step } from "./search";
import type { End, Message } from "./types";

const message = (more: Partial<Message> = {}): Message => ({
  topic: "t", partition: 0, offset: 7, timestamp: "2026-03-01T00:00:00Z", timestampType: "create", leaderEpoch: 0, compression: "none", keySize: 0, valueSize: 0, headersSize: 0, ...more,
});

/** The document as a plain value, to hold against the platform's parser. */
function plain(v: Value): unknown {
  if (v.kind === "object") return Object.fromEntries(v.values.map((x, n) => [v.names[n] ?? "", plain(x)]));
  if (v.kind === "array") return v.values.map(plain);
  return v.kind === "string" ? v.text : (JSON.parse(v.text) as unknown);
}

describe("a JSON document", () => {
  it.each(['{"a":1}', "[]", "{}", ' [1, -2.5e-7 ,"x\\u00e9\\n", true,false,null, {"":[]} ] ', '"text"', "0", '{"a":{"b":[{"c":"d"}]},"e":"{}"}'])("%s is what the platform reads", (text) => {
    const v = parse(text);
    expect(v && plain(v)).toEqual(JSON.parse(text));
  });
  it.each(["", "{", "}", "[1,]", '{"a":1,}', '{"a"}', '{a:1}', "01", "1 2", "[1 2]", '"\n"', "nul", "tru e", "[]]", '{"a":1 "b":2}', "undefined", "+1", "'a'"])("%j is none", (text) => {
    expect(parse(text)).toBeNull();
    expect(() => JSON.parse(text) as unknown).toThrow();
  });
  it("keeps every digit and every field of one name", () => {
    const v = parse('{"id":12345678901234567890,"id":1.0}');
    expect([v?.names, v?.values.map((x) => x.text)]).toEqual([["id", "id"], ["12345678901234567890", "1.0"]]);
  });
  it("may be as deep as it likes", () => {
    expect(parse("[".repeat(200_000) + "]".repeat(200_000))?.kind).toBe("array");
  });
  it("tells its fields as expressions name them", () => {
    const v = parse('{"metrics":{"rps":150.5},"odd name":{"x":"y"},"list":[1]}');
    expect(v && fieldsOf(v).map((f) => f.path)).toEqual(["value.list", "value.metrics.rps", 'value["odd name"].x']);
  });
});

describe("hostile text", () => {
  it.each([["a\u202eb", "a⟨U+202E⟩b"], ["\u0000", "⟨U+0000⟩"], ["a\u200bb", "a⟨U+200B⟩b"], ["\ufeff{}", "⟨U+FEFF⟩{}"], ["line\nline\ttab", "line\nline\ttab"], ["é𝄞漢", "é𝄞漢"], ["\u2066x\u2069", "⟨U+2066⟩x⟨U+2069⟩"]])("%j is shown as %s", (text, want) => {
    expect(visible(text)).toBe(want);
  });
  it("bytes that are no text are hex", () => {
    expect([textOf(undefined, "/w=="), textOf("", undefined), textOf(undefined, undefined)]).toEqual(["ff", "", null]);
    expect(hexLines(bytesOf("<b>é", undefined) ?? new Uint8Array())).toEqual(["00000000  3c 62 3e c3 a9                                    <b>.."]);
  });
});

const nasty = `it's "$(touch /tmp/x)" \`id\` \\ !! %s %n é \n new line; rm -rf / #&|<>*?[]{}~`;

describe("commands", () => {
  const shell = (line: string) => execFileSync("sh", ["-c", line], { encoding: "utf8" });
  it.each([nasty, "", "plain", "'", "a'b'c", "-n", "$HOME"])("a shell reads %j back", (text) => {
    expect(shell(`printf %s ${quote(text)}`)).toBe(text);
  });
  it("what goes to produce is the message, byte for byte", () => {
    const m = message({ topic: nasty, key: nasty, valueBase64: "/wA=", headers: [{ key: "a", value: nasty }, { key: "a" }] });
    const line = produceOf(m, "h:1").split(" | smartlb kafka produce ")[0] ?? "";
    expect(JSON.parse(shell(line))).toEqual({ key: nasty, valueBase64: "/wA=", headers: [{ key: "a", value: nasty }, { key: "a" }] });
    expect(shell(`set -- ${produceOf(m, "h:1").split(" | ").at(-1)}; printf '%s\n' "$4"`)).toBe(`${nasty}\n`);
  });
  it("no value, an empty one and null are three things", () => {
    expect([message(), message({ value: "" }), message({ value: "null" })].map((m) => (JSON.parse(jsonOf(m)) as { value?: unknown }).value)).toEqual([undefined, "", "null"]);
  });
  it("kcat reads the one message", () => {
    expect(kcatOf(message(), "h:1")).toContain("-t t -p 0 -o 7 -c 1");
  });
});

describe("a search and its address", () => {
  it("are each other's", () => {
    const q = { ...noQuery, from: "@1700000000123", where: 'key == "a&b"', partitions: "0,2", bytes: "1024" };
    expect(queryOf(`?${addressOf(q)}`)).toEqual(q);
  });
  it("the call leaves out what the server does by itself", () => {
    expect([callOf({ ...noQuery, from: "newest" }).toString(), callOf({ ...noQuery, from: "42" }, "0:5").toString(), isLive(noQuery), isLive({ ...noQuery, from: "newest" })]).toEqual(["", "from=42&at=0%3A5", true, false]);
  });
});

describe("a stream of events", () => {
  it("is read in whatever pieces it comes", () => {
    const text = 'event: matches\ndata: {"a":1}\n\nevent: end\ndata: {}\n\n';
    for (let cut = 1; cut < text.length; cut++) {
      const r = new EventReader();
      expect([...r.take(text.slice(0, cut)), ...r.take(text.slice(cut))]).toEqual([{ name: "matches", data: '{"a":1}' }, { name: "end", data: "{}" }]);
    }
  });
  it("a search that goes on keeps what was found and shows nothing twice", () => {
    const progress = { records: 2, bytes: 2, matches: 2, share: 1, rate: 1, elapsedMs: 1, next: "0:3" };
    const end: End = { progress, reason: "limit", limit: 2, budgetBytes: 1, budgetMs: 1, undecided: 0, notes: [] };
    const events: SearchEvent[] = [
      { do: "begin", on: false }, { do: "matches", list: [message({ offset: 1 }), message({ offset: 2 })] }, { do: "end", end },
      { do: "begin", on: true }, { do: "matches", list: [message({ offset: 2 }), message({ offset: 3 })] },
    ];
    const s = events.reduce(step, noSearch);
    expect([s.rows.map((m) => m.offset), s.running, s.end]).toEqual([[1, 2, 3], true, null]);
    expect(step(s, { do: "stop" })).toMatchObject({ running: false, stopped: true, progress });
    expect(step(s, { do: "problem", problem: new Error("broken") })).toMatchObject({ running: false, progress });
    expect(step(s, { do: "begin", on: false }).rows).toEqual([]);
  });
});
