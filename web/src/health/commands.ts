export interface Piece {
  text: string;
  /** It can be typed in a terminal. */
  command: boolean;
}

// A command is smartlb with the verbs that fixes name, and their arguments:
// NAMES, flags, key=value, quoted words, services and topics of Connect.
const word = /(?:kafka|profile|add|show|start|apply|logs|plan|brokers|connect|describe|restart|configs|set|prune|zookeeper|kafka-ui|connect-[a-z]+|[A-Z][A-Z0-9-]+|--?[a-z][a-z-]*|[a-z][\w.-]*=\S*\w|'[^']*'|\.\.\.)(?![\w-])/;
const command = new RegExp(`smartlb(?: ${word.source})+`, "g");

/** A fix in pieces: prose, and the commands in it. */
export function pieces(fix: string): Piece[] {
  const out: Piece[] = [];
  let last = 0;
  for (const m of fix.matchAll(command)) {
    if (m.index > last) out.push({ text: fix.slice(last, m.index), command: false });
    out.push({ text: m[0], command: true });
    last = m.index + m[0].length;
  }
  if (last < fix.length) out.push({ text: fix.slice(last), command: false });
  return out;
}
