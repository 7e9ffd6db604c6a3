import { useEffect, useRef, useState } from "react";
import type { Past } from "../api/client";
import { clock, factor } from "../ui/format";
import { useScheme } from "../ui/theme";
import { costOf, type Part } from "./cost";

type Second = Past["seconds"][number];

const height = 150;
const low = -1; // log10 of the lower end
const high = 3; // and of the upper
const seconds = 180;

const kinds: Part["kind"][] = ["latency", "errors", "flight", "silence", "slow", "veto", "capacity", "weight"];

/** The stack of one second's factors in log10: those above 1 upwards from 0, those below downwards. */
export function stack(parts: Part[]): { kind: Part["kind"]; from: number; to: number }[] {
  let up = 0;
  let down = 0;
  const out: { kind: Part["kind"]; from: number; to: number }[] = [];
  for (const kind of kinds) {
    const p = parts.find((x) => x.kind === kind);
    const log = p ? Math.log10(p.factor) : 0;
    if (Math.abs(log) < 0.005) continue;
    if (log > 0) {
      out.push({ kind, from: up, to: up + log });
      up += log;
    } else {
      out.push({ kind, from: down + log, to: down });
      down += log;
    }
  }
  return out;
}

/** The cost of a request, second by second, as stacked bars of its factors. */
export function CostBars({ past }: { past: Second[] }) {
  const ref = useRef<HTMLCanvasElement>(null);
  const [at, setAt] = useState<number | null>(null);
  const known = past.filter((s) => s.cost);
  const scheme = useScheme();
  useEffect(() => {
    const canvas = ref.current;
    const g = canvas?.getContext("2d");
    if (canvas && g) draw(g, canvas, past);
  }, [past, scheme]);
  const newest = known.at(-1);
  const shown = (at === null ? undefined : past[past.length - seconds + at]) ?? newest;
  return (
    <figure className="cost-bars">
      <canvas
        ref={ref}
        width={2 * seconds}
        height={height}
        role="img"
        aria-label={`Cost over ${past.length} seconds: now ${newest?.cost ? factor(newest.cost.total) : "unknown"}, at most ${factor(Math.max(0, ...known.map((s) => s.cost?.total ?? 0)))}`}
        onPointerMove={(e) => setAt(Math.floor((e.nativeEvent.offsetX / e.currentTarget.clientWidth) * seconds))}
        onPointerLeave={() => setAt(null)}
      />
      <figcaption>
        {shown?.cost && (
          <>
            <span className="num">{clock(shown.at)}</span> <b>{factor(shown.cost.total)}</b>
            <span className="muted">
              {costOf({ cost: shown.cost, weight: shown.weight })
                .filter((p) => Math.abs(p.factor - 1) >= 0.05)
                .map((p) => ` ${p.name} ×${factor(p.factor)}`)
                .join(" ·") || " every factor is 1"}
              {shown.state !== "in" && ` · ${shown.state}`}
            </span>
          </>
        )}
      </figcaption>
    </figure>
  );
}

const y = (log: number) => Math.round(height - ((Math.min(high, Math.max(low, log)) - low) / (high - low)) * height);

function draw(g: CanvasRenderingContext2D, canvas: HTMLElement, past: Second[]) {
  const paint = paints(canvas);
  g.clearRect(0, 0, 2 * seconds, height);
  const first = seconds - past.length;
  past.forEach((s, n) => {
    const x = 2 * (first + n);
    if (s.state !== "in") {
      g.fillStyle = paint(s.state === "draining" ? "--warn-bg" : "--bad-bg");
      g.fillRect(x, 0, 2, height);
    }
    if (!s.cost) return;
    for (const { kind, from, to } of stack(costOf({ cost: s.cost, weight: s.weight }))) {
      g.fillStyle = paint(`--c-${kind}`);
      g.fillRect(x, y(to), 2, Math.max(1, y(from) - y(to)));
    }
  });
  g.font = `10px ${getComputedStyle(canvas).fontFamily}`;
  for (const log of [0, 1, 2]) {
    g.fillStyle = paint(log === 0 ? "--mark" : "--line");
    g.fillRect(0, y(log), 2 * seconds, 1);
    g.fillStyle = paint("--muted");
    g.fillText(`×${10 ** log}`, 2, y(log) - 3);
  }
}

/** A canvas needs plain colours. light-dark() is resolved only in a colour that an element uses, so a probe element uses it. */
function paints(canvas: HTMLElement): (name: string) => string {
  const known = new Map<string, string>();
  return (name) => {
    let c = known.get(name);
    if (c === undefined) {
      const probe = document.createElement("i");
      probe.style.color = `var(${name})`;
      canvas.parentElement?.append(probe);
      c = getComputedStyle(probe).color;
      probe.remove();
      known.set(name, c);
    }
    return c;
  };
}
