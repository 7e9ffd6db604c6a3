import { type ReactNode, useEffect, useId, useRef } from "react";

/**
 * A modal dialog. The browser's dialog element has the focus trap, closes on Escape, and returns the focus to the
 * element that had it.
 */
export function Dialog({ title, onClose, wide = false, children }: { title: string; onClose: () => void; wide?: boolean; children: ReactNode }) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const d = ref.current;
    if (d && !d.open) d.showModal();
    return () => d?.close();
  }, []);
  return (
    <dialog
      ref={ref}
      className={wide ? "dialog wide-dialog" : "dialog"}
      aria-labelledby={id}
      onCancel={(e) => {
        e.preventDefault();
        onClose();
      }}
      onClick={(e) => {
        if (e.target === ref.current) onClose(); // the backdrop
      }}
    >
      <div className="dialog-body">
        <h2 id={id}>{title}</h2>
        {children}
      </div>
    </dialog>
  );
}

/** The last line of a dialog: its action and the button that closes it. */
export function Ending({ onClose, word = "Cancel", children }: { onClose: () => void; word?: string; children?: ReactNode }) {
  return (
    <div className="actions">
      {children}
      <button type="button" onClick={onClose}>
        {word}
      </button>
    </div>
  );
}
