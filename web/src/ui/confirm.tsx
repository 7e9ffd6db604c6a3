import { type ReactNode, useId, useState } from "react";
import { Dialog, Ending } from "./dialog";
import { Failure } from "./states";

interface Props {
  title: string;
  /** What the button says: Delete, Reset … */
  verb: string;
  /** The name that has to be typed where nothing brings it back. */
  name?: string;
  /** Whether it is known what will happen; until then it cannot be done. */
  ready?: boolean;
  /** What will happen. */
  children: ReactNode;
  run: () => Promise<unknown>;
  onClose: () => void;
}

/** Asks before something is changed; what cannot be undone wants its name typed. It stays open where it failed, and says why. */
export function Confirm({ title, verb, name, ready = true, children, run, onClose }: Props) {
  const [typed, setTyped] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const id = useId();
  const may = ready && !busy && (name === undefined || typed === name);
  const go = () => {
    setBusy(true);
    setError(null);
    run().then(onClose, (e: unknown) => {
      setError(e);
      setBusy(false);
    });
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        className="form"
        onSubmit={(e) => {
          e.preventDefault();
          if (may) go();
        }}
      >
        {children}
        {name !== undefined && (
          <p>
            <label htmlFor={id}>
              Type <code>{name}</code> to confirm
            </label>
            <input id={id} type="text" autoComplete="off" spellCheck={false} value={typed} onChange={(e) => setTyped(e.target.value)} />
          </p>
        )}
        {error !== null && <Failure error={error} />}
        <Ending onClose={onClose}>
          <button type="submit" className={name === undefined ? "primary" : "danger"} disabled={!may}>
            {busy ? `${verb} …` : verb}
          </button>
        </Ending>
      </form>
    </Dialog>
  );
}
