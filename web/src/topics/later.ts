import { useEffect, useState } from "react";

/** The value, delayed until it has not changed for a number of milliseconds. */
export function useLater<T>(value: T, delay: number): T {
  const [late, setLate] = useState(value);
  useEffect(() => {
    const t = setTimeout(() => setLate(value), delay);
    return () => clearTimeout(t);
  }, [value, delay]);
  return late;
}
