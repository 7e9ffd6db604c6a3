// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { SearchBar } from "./bar";
import { noQuery, type Query } from "./query";

/** The server's check: an expression that ends in an operator is wrong. */
const check = (body: { where: string }) => {
  const wrong = /[<>=]\s*$/.test(body.where);
  return { valid: !wrong, mistakes: wrong ? [{ term: "where", line: 1, column: body.where.length, text: "an expression is missing" }] : [] };
};

beforeEach(() => {
  vi.stubGlobal("fetch", (_: string, init: RequestInit) => Promise.resolve(Response.json(check(JSON.parse(init.body as string) as { where: string }))));
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

function bar(query: Query, running = false) {
  const submitted: Query[] = [];
  const stopped = vi.fn();
  const of = (q: Query) => (
    <QueryClientProvider client={client}>
      <SearchBar query={q} running={running} onSubmit={(x) => submitted.push(x)} onStop={stopped} fields={[{ path: "value.metrics.rps", kind: "number", sample: "12.34" }]} />
    </QueryClientProvider>
  );
  const client = new QueryClient();
  const { rerender } = render(of(query));
  return { submitted, stopped, user: userEvent.setup(), show: (q: Query) => rerender(of(q)) };
}

it("Enter sends what was typed", async () => {
  const { submitted, user } = bar({ ...noQuery, from: "newest" });
  await user.type(screen.getByRole("searchbox"), "sick{Enter}");
  expect(submitted).toEqual([{ ...noQuery, from: "newest", text: "sick" }]);
});

it("a wrong expression is shown with its place, and is not sent; a correct one is", async () => {
  const { submitted, user } = bar({ ...noQuery, from: "newest" });
  await user.click(screen.getByRole("button", { name: "More filters" }));
  await user.type(screen.getByLabelText("CEL"), "size >");
  expect((await screen.findByRole("alert")).textContent).toContain("character 6: an expression is missing");
  await user.type(screen.getByLabelText("CEL"), "{Enter}");
  expect(submitted).toEqual([]);
  await user.type(screen.getByLabelText("CEL"), " 5");
  await waitFor(() => expect(screen.queryByRole("alert")).toBeNull());
  await user.type(screen.getByLabelText("CEL"), "{Enter}");
  expect(submitted.map((q) => q.where)).toEqual(["size > 5"]);
});

it("follows the address, and drops what was typed before", async () => {
  const { user, show } = bar({ ...noQuery, from: "newest", text: "one" });
  await user.type(screen.getByRole("searchbox"), "xyz");
  show({ ...noQuery, from: "start", text: "two" });
  expect(screen.getByRole<HTMLInputElement>("searchbox").value).toBe("two");
  expect(screen.getByRole<HTMLSelectElement>("combobox", { name: "Where to begin" }).value).toBe("start");
});

it("Clear keeps where the search begins", async () => {
  const { submitted, user } = bar({ ...noQuery, from: "newest", text: "one", key: "k" });
  await user.click(screen.getByRole("button", { name: "Clear" }));
  expect(submitted).toEqual([{ ...noQuery, from: "newest" }]);
});

it("a running search is stopped", async () => {
  const { stopped, user } = bar({ ...noQuery, from: "newest" }, true);
  await user.click(screen.getByRole("button", { name: "Stop" }));
  expect(stopped).toHaveBeenCalledOnce();
});
