import { describe, expect, it } from "vitest";
import { human, join, plain, split, words } from "./units";

describe("a setting's value", () => {
  // The same table as in internal/kafka/topic: page and command line say the same.
  it.each([
    ["retention.ms", "604800000", "7 d"],
    ["retention.ms", "5400000", "1.5 h"],
    ["retention.ms", "-1", "unlimited"],
    ["retention.ms", "1", "1 ms"],
    ["retention.ms", "86400001", "86400001 ms"],
    ["retention.bytes", "-1", "unlimited"],
    ["max.message.bytes", "11534336", "11 MiB"],
    ["max.message.bytes", "1048588", "1048588 B"],
    ["flush.ms", "9223372036854775807", "unlimited"],
    ["segment.ms", "0", "0"],
    ["local.retention.ms", "-2", "-2"],
    ["cleanup.policy", "delete", "delete"],
    ["min.insync.replicas", "2", "2"],
    ["retention.ms", "soon", "soon"],
  ])("%s=%s is %s", (name, value, want) => expect(human(name, value)).toBe(want));

  it.each(["604800000", "1", "1048588", "11534336", "-1", "0", "90000"])("%s survives its input", (value) => {
    for (const form of ["time", "size"] as const) {
      const { number, unit } = split(form, value);
      expect(join(form, number, unit)).toBe(value);
    }
  });

  it("takes fractions and either decimal mark, and leaves what is no number to the server", () => {
    expect([join("time", "1.5", "h"), join("size", "0,5", "KiB"), join("time", "soon", "d"), join("time", "", "d"), join("size", "5", "unlimited")]).toEqual(["5400000", "512", "soon", "", "-1"]);
  });
});

describe("a step of a plan", () => {
  it.each([
    [{ kind: "create", topic: "a", to: "3" }, "is missing: create it with 3 partitions"],
    [{ kind: "set-config", topic: "a", config: "retention.ms", from: "3600000", to: "604800000" }, "retention.ms 1 h → 7 d"],
    [{ kind: "set-config", topic: "a", config: "retention.ms", to: "604800000" }, "retention.ms the default → 7 d"],
    [{ kind: "impossible", topic: "a", reason: "has 5 partitions instead of 3, and Kafka cannot remove partitions" }, "has 5 partitions instead of 3, and Kafka cannot remove partitions"],
    [{ kind: "unmanaged", topic: "a", config: "segment.bytes", from: "1048576" }, "segment.bytes = 1 MiB is not in the catalog"],
  ] as const)("%o", (step, want) => expect(words(step)).toBe(want));
});

it("a description is its words, whatever markup it has", () => {
  expect(plain('Set to <code>gzip</code>.\n <a href="#x" onclick="alert(1)">More</a> &lt;b&gt; &amp; so on &unknown;')).toBe("Set to gzip. More <b> & so on &unknown;");
});
