import type { Series } from "../api/client";

const span = 180; // points: fifteen minutes

/** A series over the whole span, with a gap before the first measurement. */
export function whole(s: Series | undefined): { times: number[]; points: (number | null)[] } {
  const step = s?.stepMs ?? 5_000;
  const have = s?.points ?? [];
  const end = have.length > 0 && s ? Date.parse(s.from) + have.length * step : Math.floor(Date.now() / step) * step;
  const times = Array.from({ length: span }, (_, n) => end - (span - n) * step);
  return { times, points: [...Array<null>(Math.max(0, span - have.length)).fill(null), ...have.slice(-span)] };
}
