import { type LiveInstance, type LiveOverview, type LiveService, shareOf } from "../live/feed";

/** One line of the list: a service, or one of its instances. */
export type Line = { key: string; s: LiveService; i: null; shown: number; open: boolean } | { key: string; s: LiveService; i: LiveInstance };

export interface View {
  /** Words that all must be in service, id, address, state or tags. */
  filter: string;
  /** Only instances that are out or fail. */
  trouble: boolean;
  order: string;
  closed: (service: string) => boolean;
}

const ranks: Record<LiveInstance["condition"], number> = { failing: 8, out: 6, draining: 4, silenced: 3, unknown: 2, ok: 0 };

/** How bad an instance's standing is; 0 is good. */
const worst = (i: LiveInstance) => ranks[i.condition] + (i.errorRate > 0.01 ? 1 : 0);

/** Whether an operator should look at it: it is out or fails, an alert is active, or more than 1 % of its requests failed. Silenced and draining instances do not count: an operator knows of them. */
export const troubled = (i: LiveInstance): boolean => i.condition === "failing" || i.condition === "out" || (i.errorRate > 0.01 && i.condition !== "silenced" && i.condition !== "draining");

/** Keys by which a list can be ordered within each service, largest value first. */
export const orders: Record<string, { name: string; by: (i: LiveInstance, s: LiveService) => number }> = {
  trouble: { name: "problems first", by: worst },
  share: { name: "share", by: (i, s) => shareOf(s, i) },
  p95: { name: "p95", by: (i) => i.p95Ms },
  errors: { name: "errors", by: (i) => i.errorRate },
  cost: { name: "cost", by: (i) => i.cost.total },
};

/** The lines that a view shows. Lines in before keep their order, so that nothing moves before a click. */
export function linesOf(o: LiveOverview, view: View, before?: Map<string, number>): Line[] {
  const words = view.filter.toLowerCase().split(/\s+/).filter(Boolean);
  const by = orders[view.order]?.by;
  const narrowed = words.length > 0 || view.trouble;
  const out: Line[] = [];
  for (const s of o.services) {
    let rows = s.instances;
    if (words.length > 0) rows = rows.filter((i) => words.every((w) => i.text.includes(w) || i.state.includes(w)));
    if (view.trouble) rows = rows.filter(troubled);
    if (narrowed && rows.length === 0) continue;
    if (by) rows = before ? held(rows, s, before) : [...rows].sort((a, b) => by(b, s) - by(a, s));
    const open = narrowed || !view.closed(s.id);
    out.push({ key: s.id, s, i: null, shown: rows.length, open });
    if (open) for (const i of rows) out.push({ key: `${s.id}\n${i.id}`, s, i });
  }
  return out;
}

function held(rows: LiveInstance[], s: LiveService, before: Map<string, number>): LiveInstance[] {
  const at = (i: LiveInstance) => before.get(`${s.id}\n${i.id}`) ?? before.size;
  return [...rows].sort((a, b) => at(a) - at(b));
}
