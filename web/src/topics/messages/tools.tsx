import { useId, useState } from "react";
import { seg } from "../../api/client";
import { Dialog, Ending } from "../../ui/dialog";
import { Link } from "../../ui/link";
import { paths } from "../../ui/route";
import { callOf, type Query } from "./query";
import { forget, save, useSaved } from "./saved";

/** Searches with names, kept in this browser. */
export function SavedSearches({ topic, query, onClose }: { topic: string; query: Query; onClose: () => void }) {
  const all = useSaved();
  const [name, setName] = useState("");
  const id = useId();
  const list = [...all.filter((s) => s.topic === topic), ...all.filter((s) => s.topic !== topic)];
  return (
    <Dialog title="Saved searches" onClose={onClose}>
      <form
        className="form"
        onSubmit={(e) => {
          e.preventDefault();
          if (name.trim() === "") return;
          save(name.trim(), topic, query);
          setName("");
        }}
      >
        <p>
          <label htmlFor={id}>Save this search as</label>
          <input id={id} type="text" autoComplete="off" value={name} onChange={(e) => setName(e.target.value)} />
          <span className="note">Searches are kept in this browser. To share a search, send the address of the page.</span>
        </p>
        <Ending onClose={onClose} word="Close">
          <button type="submit" className="primary" disabled={name.trim() === ""}>
            Save
          </button>
        </Ending>
      </form>
      {list.length > 0 && (
        <ul className="saved">
          {list.map((s) => (
            <li key={`${s.topic} ${s.name}`}>
              <Link href={`${paths.topic(s.topic, "messages")}${s.query ? `?${s.query}` : ""}`} onClick={onClose}>
                {s.name}
              </Link>
              <span className="muted"> {s.topic}</span>
              <button type="button" className="quiet" onClick={() => forget(s)} aria-label={`Delete the search ${s.name}`}>
                Delete
              </button>
            </li>
          ))}
        </ul>
      )}
    </Dialog>
  );
}

/** The address of a file with the selected messages, or with all results of the search. */
export function exportOf(topic: string, query: Query, chosen: ReadonlySet<string>): string {
  const p = chosen.size > 0 ? new URLSearchParams({ pick: [...chosen].join(",") }) : callOf(query);
  return `/api/v1/topics/${seg(topic)}/export?${p}`;
}
