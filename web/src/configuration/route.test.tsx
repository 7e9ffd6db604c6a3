// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { RouteOfRequest } from "./route";

let sent: { url: string; at?: string }[] = [];

beforeEach(() => {
  sent = [];
  vi.stubGlobal("fetch", (_: string, options: { body: string }) => {
    sent.push(JSON.parse(options.body) as { url: string });
    return Promise.resolve(Response.json({ request: "GET /", route: "night", target: "service a", rateLimits: [], steps: [] }));
  });
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

it("sends the time of the request, none for now, and nothing while the text is no time", async () => {
  const user = userEvent.setup();
  render(
    <QueryClientProvider client={new QueryClient()}>
      <RouteOfRequest />
    </QueryClientProvider>,
  );
  const time = screen.getByLabelText<HTMLInputElement>(/^Time, UTC.* \(empty: now\)$/);
  const find = screen.getByRole("button", { name: "Find route" });
  await user.click(find);
  expect(await screen.findByText("night")).toBeDefined();
  expect(sent[0]).not.toHaveProperty("at");

  await user.type(time, "2026-12-24 22:30");
  await user.click(find);
  await vi.waitFor(() => expect(sent).toHaveLength(2));
  expect(sent[1]?.at).toBe(new Date(2026, 11, 24, 22, 30).toISOString());

  await user.clear(time);
  await user.type(time, "tonight");
  await user.click(find);
  expect(time.validationMessage).toContain("2026-11-28 14:03:07.123");
  expect(sent).toHaveLength(2);

  await user.clear(time);
  await user.click(find);
  await vi.waitFor(() => expect(sent).toHaveLength(3));
  expect(sent[2]).not.toHaveProperty("at");
});
