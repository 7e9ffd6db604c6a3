import { useQuery } from "@tanstack/react-query";
import { type ReactNode, Suspense } from "react";
import { ApiError, get, seg, type TopicDetail } from "../api/client";
import { Link } from "../ui/link";
import { paths } from "../ui/route";
import { Empty, StaleNote, Waiting } from "../ui/states";
import { ConsumersTab } from "./consumers";
import { OverviewTab } from "./overview";
import { later } from "../ui/later";

const MessagesTab = later(() => import("./messages/tab").then((m) => ({ default: m.MessagesTab })));
const SettingsTab = later(() => import("./settings").then((m) => ({ default: m.SettingsTab })));
const SchemaTab = later(() => import("./schema").then((m) => ({ default: m.SchemaTab })));

/** The properties of a topic's tabs. */
interface TabProps {
  name: string;
  /** Undefined until the first answer. */
  topic: TopicDetail | undefined;
}

interface Tab {
  /** The end of its address; the first has none. */
  at: string;
  title: string;
  view: (p: TabProps) => ReactNode;
}

const tabs: Tab[] = [
  { at: "", title: "Overview", view: (p) => <OverviewTab {...p} /> },
  { at: "messages", title: "Messages", view: (p) => <MessagesTab topic={p.name} /> },
  { at: "consumers", title: "Consumers", view: (p) => <ConsumersTab name={p.name} /> },
  { at: "settings", title: "Settings", view: (p) => <SettingsTab name={p.name} internal={p.topic?.internal === true || p.name.startsWith("__")} /> },
  { at: "schema", title: "Schema", view: (p) => <SchemaTab {...p} /> },
];

/** One topic, in tabs. */
export function TopicPage({ name, tab }: { name: string; tab: string }) {
  const detail = useQuery({
    queryKey: ["topic", name],
    queryFn: ({ signal }) => get<TopicDetail>(`/topics/${seg(name)}`, signal),
    refetchInterval: 5_000,
  });
  const missing = detail.error instanceof ApiError && detail.error.status < 500 ? detail.error : null;
  const shown = tabs.find((t) => t.at === tab);
  if (missing || !shown) {
    return (
      <main id="main" className="page topics">
        <Empty title={missing ? missing.message : `A topic has no page “${tab}”`}>
          <p>
            <Link href={paths.topics}>All topics</Link>
          </p>
        </Empty>
      </main>
    );
  }
  return (
    <main id="main" className="page topics" aria-label={`Topic ${name}`}>
      <header className="topic-head">
        <p className="crumb">
          <Link href={paths.topics}>Topics</Link>
        </p>
        <h1>{name}</h1>
        <p className="about">{about(detail.data)}</p>
        <StaleNote of={detail} what="this topic" />
        <nav className="tabs" aria-label={`Pages of ${name}`}>
          {tabs.map((t) => (
            <Link key={t.at} href={paths.topic(name, t.at)} aria-current={t.at === tab ? "page" : undefined}>
              {t.title}
            </Link>
          ))}
        </nav>
      </header>
      <div className={`tab-body ${detail.isError ? "stale" : ""}`}>
        <Suspense fallback={<Waiting what={`the page ${shown.title}`} />}>{shown.view({ name, topic: detail.data })}</Suspense>
      </div>
    </main>
  );
}

function about(d: TopicDetail | undefined): string {
  if (!d) return "\u00a0";
  return d.description ?? (d.internal ? "Internal to Kafka" : "Not a topic of smartlb");
}
