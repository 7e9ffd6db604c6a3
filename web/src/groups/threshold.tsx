import { useId, useState } from "react";
import { Dialog, Ending } from "../ui/dialog";
import { Failure } from "../ui/states";

interface Props {
  now: number | undefined;
  save: (lag: number | null) => Promise<unknown>;
  onClose: () => void;
}

/** Sets the lag above which the group is marked here. */
export function ThresholdDialog({ now, save, onClose }: Props) {
  const [text, setText] = useState(now === undefined ? "" : String(now));
  const [error, setError] = useState<unknown>(null);
  const id = useId();
  const good = /^\d{1,15}$/.test(text);
  const go = (lag: number | null) => {
    setError(null);
    save(lag).then(onClose, setError);
  };
  return (
    <Dialog title="Alarm threshold" onClose={onClose}>
      <form
        className="form"
        onSubmit={(e) => {
          e.preventDefault();
          if (good) go(Number(text));
        }}
      >
        <div>
          <label htmlFor={id}>Mark the group when its lag is above this number of records</label>
          <input id={id} type="text" inputMode="numeric" autoFocus value={text} aria-invalid={text !== "" && !good} onChange={(e) => setText(e.target.value.trim())} />
        </div>
        <p className="note">The mark is shown here and in /metrics of this console as smartlb_group_lag_alarm. This console keeps the threshold.</p>
        {error !== null && <Failure error={error} />}
        <Ending onClose={onClose}>
          <button type="submit" className="primary" disabled={!good}>
            Save
          </button>
          {now !== undefined && (
            <button type="button" onClick={() => go(null)}>
              No threshold
            </button>
          )}
        </Ending>
      </form>
    </Dialog>
  );
}
