import type { ReactNode } from "react";

/** One named value in a list of facts (a dl). */
export function Fact({ name, num = false, children }: { name: string; num?: boolean; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className={num ? "num" : undefined}>{children}</dd>
    </div>
  );
}
