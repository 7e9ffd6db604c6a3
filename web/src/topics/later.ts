import { useEffect, useState } from "react";

/** A value that follows after it has not changed for so many ms. */
export function useLater<T>(value: T, delay: number): T {
  const [late, setLate] = useState(value);
  useEffect(() => {
    const t = setTimeout(() => setLate(value), delay);
    return () => clearTimeout(t);
  }, [value, delay]);
  return late;
}
