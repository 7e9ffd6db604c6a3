import { useId, useState } from "react";
import type { Rule } from "../api/client";
import { joinUnit, splitUnit, unitsOf } from "../ui/format";

interface Props {
  /** The name of the setting. */
  label: string;
  /** Undefined if only the broker knows the allowed values. */
  rule: Rule | undefined;
  value: string;
  onChange: (v: string) => void;
  /** The mistake in the value. */
  problem?: string | undefined;
}

/** An input for the value of a setting, depending on its form: a choice, a number with its unit, or text. */
export function ValueInput({ label, rule, value, onChange, problem }: Props) {
  const id = useId();
  const common = { "aria-label": label, "aria-invalid": problem !== undefined, "aria-describedby": problem === undefined ? undefined : id };
  return (
    <span className="value-input">
      {rule?.form === "boolean" || rule?.form === "choice" ? (
        <select {...common} value={value} onChange={(e) => onChange(e.target.value)}>
          {!rule.allowed?.includes(value) && <option value={value}>{value}</option>}
          {rule.allowed?.map((a) => <option key={a}>{a}</option>)}
        </select>
      ) : rule?.form === "list" ? (
        <Several label={label} allowed={rule.allowed ?? []} value={value} onChange={onChange} />
      ) : rule?.form === "time" || rule?.form === "size" ? (
        <Measured common={common} rule={rule} value={value} onChange={onChange} />
      ) : (
        <input type="text" {...common} inputMode={rule?.form === "whole" ? "numeric" : rule?.form === "fraction" ? "decimal" : "text"} spellCheck={false} value={value} onChange={(e) => onChange(e.target.value)} />
      )}
      {problem !== undefined && (
        <span id={id} className="bad-text problem-text" role="alert">
          {problem}
        </span>
      )}
    </span>
  );
}

function Several({ label, allowed, value, onChange }: { label: string; allowed: string[]; value: string; onChange: (v: string) => void }) {
  const have = value.split(",").map((v) => v.trim()).filter(Boolean);
  return (
    <span role="group" aria-label={label} className="several">
      {allowed.map((a) => (
        <label key={a} className="switch">
          <input type="checkbox" checked={have.includes(a)} onChange={(e) => onChange(allowed.filter((x) => (x === a ? e.target.checked : have.includes(x))).join(","))} /> {a}
        </label>
      ))}
    </span>
  );
}

interface MeasuredProps {
  common: { "aria-label": string; "aria-invalid": boolean; "aria-describedby": string | undefined };
  rule: Rule;
  value: string;
  onChange: (v: string) => void;
}

/** A number and its unit. The typed text stays as it was typed. */
function Measured({ common, rule, value, onChange }: MeasuredProps) {
  const [typed, setTyped] = useState(() => splitUnit(rule.form, value));
  const shown = joinUnit(rule.form, typed.number, typed.unit) === value ? typed : splitUnit(rule.form, value); // another user set it
  const change = (next: { number: string; unit: string }) => {
    setTyped(next);
    onChange(joinUnit(rule.form, next.number, next.unit));
  };
  return (
    <span className="measured">
      <input
        type="text"
        inputMode="decimal"
        {...common}
        disabled={shown.unit === "unlimited"}
        value={shown.number}
        onChange={(e) => change({ number: e.target.value, unit: shown.unit })}
      />
      <select aria-label={`Unit of ${common["aria-label"]}`} value={shown.unit} onChange={(e) => change({ number: shown.number || "1", unit: e.target.value })}>
        {unitsOf(rule.form).map(([name]) => (
          <option key={name}>{name}</option>
        ))}
        {(rule.min ?? 0) < 0 && <option>unlimited</option>}
      </select>
    </span>
  );
}

/** The problems in an error response, by setting: each line begins with the name of a setting. */
export function problemsOf(message: string, names: string[]): { by: Map<string, string>; rest: string } {
  const by = new Map<string, string>();
  const rest: string[] = [];
  for (const line of message.split("\n")) {
    const text = line.replace(/^(?:change configuration of|create topic) [^:\s]+: /, "");
    const name = names.find((n) => text.startsWith(`${n}: `) || text.startsWith(`"${n}" `));
    if (name === undefined) rest.push(text);
    else by.set(name, text.startsWith('"') ? text : text.slice(name.length + 2));
  }
  return { by, rest: rest.join("; ") };
}
