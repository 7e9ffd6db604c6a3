import { expect, it } from "vitest";
import { pieces } from "./commands";

// Fixes in the form that doctor writes them; the text in brackets can be typed into a terminal.
it.each([
  ["start it ([smartlb kafka start]), or set running brokers with -b, --profile or KAFKA_BROKER"],
  ["check firewalls and routes; if the process is there, see why it hangs: [smartlb kafka logs kafka]"],
  ["[smartlb profile add NAME -b ... --tls], with --tls-ca FILE for an authority of your own"],
  ["[smartlb profile add NAME -b ... --sasl SCRAM-SHA-512 --user NAME --password '${env:VARIABLE}'], or another port"],
  ["check user and password; [smartlb profile show] names where they come from"],
  ["[smartlb kafka apply]"],
  ["[smartlb kafka apply] sets it"],
  ["[smartlb kafka logs kafka] may say more"],
  ["unset KAFKA_BROKER or set it to a broker that runs; [smartlb kafka start] starts one here"],
  ["start them again; [smartlb kafka brokers] lists who is there"],
  ["[smartlb kafka start]; [smartlb kafka logs zookeeper] says why it is down. ZOOKEEPER_HOST sets its address"],
  ["[smartlb kafka connect describe NAME] shows the error, [smartlb kafka connect restart NAME --failed] starts it again"],
  ["[smartlb kafka configs set connect-configs cleanup.policy=compact]"],
  ["[smartlb kafka plan] shows the change; more partitions move keys"],
  ["free disk space, or keep records for a shorter time"],
])("%s", (marked) => {
  const got = pieces(marked.replace(/[[\]]/g, ""));
  expect(got.map((p) => (p.command ? `[${p.text}]` : p.text)).join("")).toBe(marked);
});
