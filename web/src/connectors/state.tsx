import { CheckIcon, CrossIcon, InfoIcon, PauseIcon, WarmIcon } from "../ui/icons";

/**
 * The state of a connector or task, as a word with an icon. Connect reports RUNNING for a connector even if its tasks
 * failed; the icon is not green then.
 */
export function State({ state, failed = false }: { state: string; failed?: boolean }) {
  const known = looks[failed && state === "RUNNING" ? "FAILED" : state];
  const [look, icon] = known ?? ["muted", <InfoIcon key="i" />];
  return (
    <span className={`connect-state ${look}`}>
      {icon} {state.toLowerCase()}
    </span>
  );
}

const looks: Record<string, [string, React.ReactNode]> = {
  RUNNING: ["ok-text", <CheckIcon key="i" />],
  FAILED: ["bad-text", <CrossIcon key="i" />],
  PAUSED: ["warn-text", <PauseIcon key="i" />],
  STOPPED: ["warn-text", <PauseIcon key="i" />],
  RESTARTING: ["warn-text", <WarmIcon key="i" />],
  UNASSIGNED: ["warn-text", <WarmIcon key="i" />],
};

interface Task {
  state: string;
}

/** "2 of 3 running, 1 failed" */
export function tasksSaid(tasks: Task[]): string {
  if (tasks.length === 0) return "no tasks";
  const running = tasks.filter((t) => t.state === "RUNNING").length;
  const failed = tasks.filter((t) => t.state === "FAILED").length;
  const said = running === tasks.length ? `${running} running` : `${running} of ${tasks.length} running`;
  return failed > 0 ? `${said}, ${failed} failed` : said;
}

/** The first line of a trace and its innermost cause. */
export function causeOf(trace: string): string {
  const first = trace.split("\n")[0]?.trim() ?? "";
  const causes = trace.split("\n").filter((l) => l.startsWith("Caused by: "));
  const last = causes.at(-1)?.slice("Caused by: ".length).trim();
  return last && last !== first ? last : first;
}
