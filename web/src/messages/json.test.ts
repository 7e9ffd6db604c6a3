import { renderToStaticMarkup } from "react-dom/server";
import { createElement } from "react";
import { expect, it } from "vitest";
import type { Message } from "../api/client";
import { pretty, Value } from "./json";

const message = (value: string, more: Partial<Message> = {}): Message => ({
  topic: "t", partition: 0, offset: 0, timestamp: "2026-03-01T00:00:00Z", key: "", value, size: value.length, cut: false, tombstone: false, binary: false, ...more,
});
const text = (m: Message) => renderToStaticMarkup(createElement(Value, { m })).replace(/<[^>]*>/g, "").replaceAll("&quot;", '"').replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&#x27;", "'").replaceAll("&amp;", "&");

it.each(['{"a":1}', '{"a":"x\\"y: {","b":[-1.5e-7,true,null,"<script>alert(1)</script>"]}', '"true"', "[]", '{"":{"\\\\":"\\n"}}'])("colouring %s loses no character", (value) => {
  expect(text(message(value))).toBe(JSON.stringify(JSON.parse(value), null, 2));
});

it("escapes what a message carries", () => {
  const html = renderToStaticMarkup(createElement(Value, { m: message('<img src=x onerror="alert(1)">') }));
  expect(html).not.toContain("<img");
});

it("shows what is not whole JSON as it came", () => {
  expect(pretty(message("{"))).toBeNull();
  expect(pretty(message('{"a":1}', { cut: true }))).toBeNull();
  expect(text(message("{"))).toBe("{");
  expect(text(message("AA==", { binary: true }))).toContain("base64");
  expect(text(message("", { tombstone: true }))).toContain("tombstone");
});
