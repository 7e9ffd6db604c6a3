import { memo, type ReactNode } from "react";
import type { LiveInstance, LiveService } from "../live/feed";
import { bounded } from "../ui/capacity";
import { age, dash, latency, latencyMs, percent, rate, score, wholePercent } from "../ui/format";
import { WarnIcon } from "../ui/icons";
import { Link } from "../ui/link";
import { navigate, paths } from "../ui/route";
import { CostBar, Share, Spark, State } from "./marks";

export const columns: [string, string, string][] = [
  ["id", "Instance", ""],
  ["st", "State", ""],
  ["sh", "Share of traffic", "The line on each bar is the fair share: what the weights alone would give"],
  ["sp", "Requests/s", "Over two minutes, errors in red"],
  ["p50", "p50", "Milliseconds; half of the requests of the last 10 s were faster"],
  ["p95", "p95", "Milliseconds"],
  ["p99", "p99", "Milliseconds"],
  ["er", "Errors", "Of the last 10 s"],
  ["fl", "In flight", "Requests of this proxy that wait for the instance now"],
  ["sc", "Score", "Health score, 0 to 1, through Kafka"],
  ["co", "Cost", "Cost of a request now, and its factors; logarithmic, the line is 1"],
  ["fa", "Facts", "Age of the facts from Kafka, and how far they are trusted"],
];

/** A service's line: its name opens and closes the list of its instances. */
export const ServiceLine = memo(function ServiceLine({ s, open, shown, toggle }: { s: LiveService; open: boolean; shown: number; toggle: () => void }) {
  const out = s.instances.filter((i) => i.condition === "out").length;
  const known = s.instances.filter((i) => i.state !== "in").length - out;
  return (
    <div role="rowheader" className="service-line">
      <h2>
        <button type="button" className="quiet fold" aria-expanded={open} onClick={toggle}>
          <span className="chevron" aria-hidden="true" /> {s.id}
        </button>
      </h2>
      {s.panic && (
        <span className="tag bad" title="Too few instances are healthy (panicThreshold), so all instances are used unless they drain">
          <WarnIcon /> panic
        </span>
      )}
      {s.insecure && (
        <span className="tag warn" title="The certificates of the instances are not verified (insecure: true). An attacker in the network can read and change all traffic">
          <WarnIcon /> insecure TLS
        </span>
      )}
      {s.discovery?.sources
        .filter((source) => source.error)
        .map((source) => (
          <span key={source.source} className={source.stale ? "tag bad" : "tag warn"} title={`${source.source}: ${source.error}. The last known instances stay in use`}>
            <WarnIcon /> {source.source.split(" ")[0]} fails
          </span>
        ))}
      {(s.discovery?.held ?? 0) > 0 && (
        <span className="tag warn" title="No source lists these instances any more. They stay, because too many left within a minute (maxLoss)">
          {s.discovery?.held} held
        </span>
      )}
      <dl className="figures">
        <Figure name="requests/s" value={rate(s.rate)} />
        <Figure name="errors" value={percent(s.errorRate)} tone={tone(s.errorRate)} />
        <Figure name="median" value={latencyMs(s.medianMs)} />
        <Figure name="in flight" value={s.queue ? `${s.active} of ${s.queue.limit}` : String(s.active)} />
        {s.queue && s.queue.waiting > 0 && <Figure name="waiting" value={String(s.queue.waiting)} tone="warn-text" />}
        <Figure
          name="headroom"
          value={
            <Link href={paths.capacity(s.id)} title="Requests/s that it carries in addition, at 80 % of its capacity">
              {bounded(s.headroom?.rate ?? null, s.headroom?.atLeast ?? false)}
            </Link>
          }
          tone={s.headroom && s.headroom.rate < 0 ? "bad-text" : ""}
        />
      </dl>
      <span className="about">
        {shown < s.instances.length ? `${shown} of ` : ""}
        {s.instances.length} {s.instances.length === 1 ? "instance" : "instances"}
        {out > 0 && <span className="bad-text">, {out} out</span>}
        {known > 0 && (
          <span className="warn-text" title="Draining, or out of rotation with silenced alerts">
            , {known} drained or silenced
          </span>
        )}{" "}
        · {s.policy}
        {s.healthCheck ? ` · ${s.healthCheck}` : " · no health check"}
      </span>
    </div>
  );
});

function Figure({ name, value, tone = "" }: { name: string; value: ReactNode; tone?: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className={tone}>{value}</dd>
    </div>
  );
}

/** The colour class of an error ratio. The number is always shown too. */
export function tone(errors: number): string {
  return errors >= 0.05 ? "bad-text" : errors >= 0.005 ? "warn-text" : "";
}

interface Props {
  i: LiveInstance;
  service: string;
  share: number;
  scale: number;
  top: number;
  head: number;
  now: number;
}

/** Goes to an instance's panel; the list stays where it is. */
export const openInstance = (service: string, id: string) => navigate(paths.instance(service, id) + location.search);

/** The cells of an instance. */
export const Cells = memo(function Cells({ i, service, share, scale, top, head, now }: Props) {
  return (
    <>
      <div role="rowheader" className="col-id">
        <Link href={paths.instance(service, i.id) + location.search} className="cover" aria-label={`${i.id}: why it gets its share`}>
          {i.id}
        </Link>
        <span className="address">{i.address}</span>
      </div>
      <div role="cell" className="col-st">
        <State i={i} />
      </div>
      <div role="cell" className="col-sh">
        <Share share={share} fair={i.fairShare} scale={scale} />
      </div>
      <div role="cell" className="col-sp">
        <div className="rate">
          <Spark points={i.points} head={head} top={top} now={i.rate} />
          <span className="num">{rate(i.rate)}</span>
        </div>
      </div>
      <Cell k="p50" name="p50" value={latency(i.p50Ms)} />
      <Cell k="p95" name="p95" value={latency(i.p95Ms)} />
      <Cell k="p99" name="p99" value={latency(i.p99Ms)} />
      <Cell k="er" name="errors" value={i.rate > 0 || i.errorRate > 0 ? percent(i.errorRate) : i.failures > 0 ? percent(1) : dash} tone={tone(i.rate > 0 ? i.errorRate : i.failures > 0 ? 1 : 0)} title={i.rate > 0 ? undefined : i.failures > 0 ? `No requests in the last 10 s; the last ${i.failures} failed` : "No requests in the last 10 s"} />
      <Cell k="fl" name="in flight" value={String(i.inFlight)} />
      <Cell k="sc" name="score" value={i.facts?.known ? score(i.facts.score) : dash} tone={i.facts?.known && i.facts.score < 0.5 ? "bad-text" : ""} title={i.facts && !i.facts.known ? "Unknown: no requests in the last 30 s" : i.facts?.reasons.join(", ")} />
      <div role="cell" className="col-co">
        <CostBar i={i} />
      </div>
      <div role="cell" className="col-fa">
        <Facts i={i} now={now} />
      </div>
    </>
  );
});

function Cell({ k, name, value, tone = "", title }: { k: string; name: string; value: string; tone?: string; title?: string | undefined }) {
  return (
    <div role="cell" className={`num col-${k} ${tone}`} data-name={name} title={title || undefined}>
      {value}
    </div>
  );
}

function Facts({ i, now }: { i: LiveInstance; now: number }) {
  const f = i.facts;
  if (!f) return <span className="muted">none</span>;
  const ignored = Object.values(f.ignored).reduce((a, b) => a + b, 0);
  const old = now - i.factsAt;
  return (
    <span className="fact-age" title={`${f.state}${ignored ? `; ${ignored} messages ignored in the last minute` : ""}`}>
      <span className={`num ${old > 15_000 ? "warn-text" : ""}`}>{age(old)}</span>
      <span className="muted num">{wholePercent(f.trust)}</span>
    </span>
  );
}
