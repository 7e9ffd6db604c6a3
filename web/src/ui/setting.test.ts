import { describe, expect, it } from "vitest";
import { docText, stepText } from "./setting";

describe("a step of a plan", () => {
  it.each([
    [{ kind: "create", topic: "a", to: "3" }, "is missing: create it with 3 partitions"],
    [{ kind: "set-config", topic: "a", config: "retention.ms", from: "3600000", to: "604800000" }, "retention.ms 1 h → 7 d"],
    [{ kind: "set-config", topic: "a", config: "retention.ms", to: "604800000" }, "retention.ms the default → 7 d"],
    [{ kind: "impossible", topic: "a", reason: "has 5 partitions instead of 3, and Kafka cannot remove partitions" }, "has 5 partitions instead of 3, and Kafka cannot remove partitions"],
    [{ kind: "unmanaged", topic: "a", config: "segment.bytes", from: "1048576" }, "segment.bytes = 1 MiB is not in the catalog"],
  ] as const)("%o", (step, want) => expect(stepText(step)).toBe(want));
});

it("a description is its text, whatever markup it has", () => {
  expect(docText('Set to <code>gzip</code>.\n <a href="#x" onclick="alert(1)">More</a> &lt;b&gt; &amp; so on &unknown;')).toBe("Set to gzip. More <b> & so on &unknown;");
});
