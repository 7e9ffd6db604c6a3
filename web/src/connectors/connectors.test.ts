import { expect, it } from "vitest";
import { causeOf, tasksSaid } from "./state";

it.each([
  [[], "no tasks"], [["RUNNING"], "1 running"], [["RUNNING", "FAILED", "PAUSED"], "1 of 3 running, 1 failed"], [["RESTARTING", "RUNNING"], "1 of 2 running"],
])("tasks %j are said as %s", (states, want) => {
  expect(tasksSaid(states.map((state) => ({ state })))).toBe(want);
});

it.each([
  ["org.x.ConnectException: no\n\tat a\n\tat b", "org.x.ConnectException: no"],
  ["org.x.ConnectException: outer\n\tat a\nCaused by: java.io.IOException: middle\n\tat b\nCaused by: java.nio.file.NoSuchFileException: /data/in.txt\n\t... 3 more", "java.nio.file.NoSuchFileException: /data/in.txt"],
  ["", ""],
])("the cause of a trace is the last one", (trace, want) => {
  expect(causeOf(trace)).toBe(want);
});
