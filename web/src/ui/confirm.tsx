import { type ReactNode, useId, useState } from "react";
import { Dialog, Ending } from "./dialog";
import { Failure } from "./states";

interface Props {
  title: string;
  /** The text of the button: Delete, Reset … */
  verb: string;
  /** The name that the user must type, for actions that cannot be undone. */
  name?: string;
  /** Whether the preview has been loaded; until then the button is disabled. */
  ready?: boolean;
  /** The preview of the change. */
  children: ReactNode;
  run: () => Promise<unknown>;
  onClose: () => void;
}

/** Asks for confirmation of a change. If the change cannot be undone, the user must type the name. If the change fails, the dialog stays open and shows the reason. */
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
