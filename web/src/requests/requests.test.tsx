// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { LoggedRequest, LoggedRequests } from "../api/client";
import type { StreamOptions } from "../live/events";
import { RequestsView } from "./requests";

/** The streams that the page has open, the latest last. */
let streams: StreamOptions[] = [];
let asked: string[] = [];
let past: LoggedRequest[] = [];

vi.mock("../live/events", () => ({
  openStream: (o: StreamOptions) => {
    streams.push(o);
    o.onConnection("live");
    return () => {
      streams = streams.filter((s) => s !== o);
    };
  },
}));
vi.mock("../live/overview", () => ({ useOverview: () => null }));

const logged = (offset: number, over: Partial<LoggedRequest> = {}): LoggedRequest => ({
  timestamp: new Date().toISOString(),
  node: "n1",
  method: "GET",
  target: `/page/${offset}?a=b`,
  status: 200,
  client: "192.0.2.1",
  route: "all",
  serviceId: "shop",
  instanceId: "shop-1",
  bytesIn: 0,
  bytesOut: 5,
  durationMs: 12.5,
  attempts: 1,
  partition: 2,
  offset,
  ...over,
});

beforeEach(() => {
  [streams, asked, past] = [[], [], []];
  vi.stubGlobal("ResizeObserver", class {
    observe() {}
    unobserve() {}
    disconnect() {}
  });
  vi.stubGlobal("scrollTo", () => {});
  vi.stubGlobal("fetch", (url: string) => {
    asked.push(url);
    return Promise.resolve(Response.json(past));
  });
  document.documentElement.style.fontSize = "16px";
  history.replaceState(null, "", "/requests");
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

function show() {
  render(
    <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
      <RequestsView />
    </QueryClientProvider>,
  );
  return userEvent.setup();
}

const send = (...requests: LoggedRequest[]) => act(() => streams.at(-1)?.on.requests?.({ requests, skipped: 0, connected: true } satisfies LoggedRequests));
const rows = () => screen.getAllByRole("row").slice(1);
const pathsShown = () => rows().map((r) => within(r).getByText(/^\/page/).textContent);

it("shows requests as they end, the newest first, each with a link to its record", async () => {
  past = [logged(1)];
  show();
  await screen.findByText("/page/1?a=b");
  send(logged(2), logged(3, { status: 502, failure: "connect-refused", instanceId: "", why: "no-instance" }));
  expect(pathsShown()).toEqual(["/page/3?a=b", "/page/2?a=b", "/page/1?a=b"]);
  const first = within(rows()[0] as HTMLElement);
  expect(first.getByText("502 connect-refused").className).toBe("bad-text");
  expect(first.getByText("no-instance")).toBeTruthy();
  expect(first.getByRole("link", { name: "/page/3?a=b" }).getAttribute("href")).toBe("/topics/access-logs/messages?from=3&partitions=2&open=2%3A3");
});

it("holds the rows while it is paused", async () => {
  past = [logged(1)];
  const user = show();
  await screen.findByText("/page/1?a=b");
  await user.keyboard("p");
  send(logged(2));
  expect(pathsShown()).toEqual(["/page/1?a=b"]);
  expect(screen.getByText("paused, 1 waiting")).toBeTruthy();
  await user.click(screen.getByRole("button", { name: "Resume" }));
  expect(pathsShown()).toEqual(["/page/2?a=b", "/page/1?a=b"]);
});

it("filters in the node, by choices and by text", async () => {
  past = [logged(1, { route: "checkout" })];
  const user = show();
  await screen.findByText("/page/1?a=b");
  await user.selectOptions(screen.getByLabelText("route"), "checkout");
  await user.selectOptions(screen.getByLabelText("status"), "5xx");
  await user.type(screen.getByRole("searchbox"), "page 1");
  await waitFor(() => expect(streams.at(-1)?.url).toBe("/api/v1/requests/events?route=checkout&outcome=5xx&text=page+1"));
  expect(screen.getByRole<HTMLInputElement>("searchbox").value).toBe("page 1");
  expect(streams).toHaveLength(1);
  await waitFor(() => expect(asked.at(-1)).toBe("/api/v1/requests?last=500&route=checkout&outcome=5xx&text=page+1"));
});

it("says how to switch the log on, and what a filter hides", async () => {
  const user = show();
  await screen.findByRole("heading", { name: "No request is logged yet" });
  expect(screen.getByText("proxy: {accessLogOptions: {kafka: true}}")).toBeTruthy();
  await user.selectOptions(screen.getByLabelText("status"), "failed");
  await screen.findByRole("heading", { name: "No logged request matches" });
  await user.click(screen.getByRole("button", { name: "Show all" }));
  expect(location.search).toBe("");
});
