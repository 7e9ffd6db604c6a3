import { expect, it } from "vitest";
import { ApiError, type Code, hasCode, isFinal, problemIn } from "./client";

const refused = (code: Code) => new ApiError({ error: "no", code });

it("errors are told apart by their code", () => {
  expect(hasCode(refused("not-found"), "not-found", "not-served")).toBe(true);
  expect(hasCode(refused("conflict"), "not-found")).toBe(false);
  expect(hasCode(new TypeError("fetch failed"), "unavailable")).toBe(false);
});

it("only a refusal of the call itself is final", () => {
  const passing: Code[] = ["unavailable", "busy", "timeout", "internal"];
  for (const code of passing) expect(isFinal(refused(code)), code).toBe(false);
  expect(isFinal(new TypeError("fetch failed"))).toBe(false);
  expect(isFinal(refused("invalid"))).toBe(true);
});

it("an answer that is no problem still becomes one", async () => {
  const own = { error: "login required", code: "unauthenticated" };
  expect(await problemIn(new Response(JSON.stringify(own), { status: 401 }))).toEqual(own);
  expect(await problemIn(new Response("<html>", { status: 502 }))).toEqual({ error: "the node answered 502", code: "unavailable" });
  expect(await problemIn(new Response("<html>", { status: 404 }))).toEqual({ error: "the node answered 404", code: "invalid" });
});
