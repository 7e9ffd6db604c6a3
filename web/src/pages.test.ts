import { describe, expect, it } from "vitest";
import { pageOf, pages } from "./pages";
import { paths } from "./ui/route";

describe("places", () => {
  it("an address and its place are each other's", () => {
    const odd = "a/b %?#é";
    expect(pageOf(paths.instance(odd, odd))).toMatchObject({ page: { name: "Overview" }, params: { service: odd, instance: odd } });
    expect(pageOf(paths.topic(odd))).toMatchObject({ page: { name: "Topics" }, params: { topic: odd } });
    expect(pageOf(paths.overview)).toMatchObject({ page: { name: "Overview" }, params: {} });
  });

  it.each(["/x", "/topics/a/b/c/d/e/f", "/instances", "/instances/a", "/instances/a/b/c", "/%"])("%s is nowhere", (path) => {
    expect(pageOf(path)).toBeNull();
  });

  it("every page has a key of its own", () => {
    expect(new Set(pages.map((p) => p.key)).size).toBe(pages.length);
  });
});
