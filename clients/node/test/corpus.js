// What the corpus of the clients makes. As a program it prints a line for each message.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { bucketOf, reportHeaders, reportValue, statusValue } from "../messages.js";

export const corpus = JSON.parse(readFileSync(new URL("../../corpus.json", import.meta.url), "utf8"));

export function emitted() {
  const reports = corpus.reports.map((c) => {
    const latencies = new Map();
    for (const [ms, n] of c.latencies) latencies.set(bucketOf(ms), (latencies.get(bucketOf(ms)) ?? 0) + n);
    const r = { ...c, latencies };
    return { topic: "service-metrics", name: c.name, want: c.want, value: reportValue(r), headers: reportHeaders(r) };
  });
  const announcements = corpus.announcements.map((c) => {
    return { topic: "health-status", name: c.name, want: c.want, value: statusValue({ ...c, status: c.stops ? "DRAINING" : "HEALTHY" }), headers: {} };
  });
  return [...reports, ...announcements];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const { topic, name, value, headers } of emitted()) {
    const encoded = Object.fromEntries(Object.entries(headers).map(([k, v]) => [k, v.toString("base64")]));
    console.log(JSON.stringify({ topic, name, value, headers: encoded }));
  }
}
