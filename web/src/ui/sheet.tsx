import type { ReactNode, RefObject } from "react";

interface RegionProps {
  /** Its accessible name: text, or the id of the heading with the text. */
  label?: string | undefined;
  by?: string | undefined;
  className?: string;
  children: ReactNode;
  /** Takes the element, to move the focus to it. */
  place?: RefObject<HTMLDivElement | null>;
}

/** A part of the page with its own scrolling. It has a name, and Tab reaches it, so that the arrow keys scroll it. */
export function Region({ label, by, className = "", children, place }: RegionProps) {
  return (
    <div ref={place} className={`region ${className}`} tabIndex={0} role="region" aria-label={label} aria-labelledby={by}>
      {children}
    </div>
  );
}

/** The head of a column: text, aligned left, or a head made by num or hidden. */
export type Head = string | { title: string; num?: boolean; hidden?: boolean };

/** A column of numbers. */
export const num = (title: string): Head => ({ title, num: true });

/** A head for screen readers only. */
export const hidden = (title: string): Head => ({ title, hidden: true });

export function Heads({ of, className }: { of: Head[]; className?: string }) {
  return (
    <thead className={className}>
      <tr>
        {of.map((h) => {
          const { title, num = false, hidden = false } = typeof h === "string" ? { title: h } : h;
          return (
            <th key={title} scope="col" className={num ? "num" : undefined}>
              {hidden ? <span className="visually-hidden">{title}</span> : title}
            </th>
          );
        })}
      </tr>
    </thead>
  );
}

/** A plain table that scrolls if it is too wide or, with limited, too long. The children are its bodies. */
export function Sheet({ heads, table = "", limited = false, className = "", ...region }: RegionProps & { heads: Head[]; table?: string; limited?: boolean }) {
  const { children, ...named } = region;
  return (
    <Region {...named} className={`${limited ? "limited" : ""} ${className}`}>
      <table className={`plain ${table}`}>
        <Heads of={heads} />
        {children}
      </table>
    </Region>
  );
}
