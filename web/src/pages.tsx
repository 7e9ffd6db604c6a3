import { type ComponentType } from "react";
import type { LiveOverview } from "./live/feed";
import { OverviewView } from "./overview/overview";
import type { Params } from "./ui/route";
import { match } from "./ui/route";
import { later } from "./ui/later";

/** One view of the console: its addresses, its place in the menu, and its key after g. */
export interface Page {
  patterns: string[];
  name: string;
  group: "Balancer" | "Kafka";
  key: string;
  /** The title of the window; the name by default. */
  title?: (p: Params) => string | undefined;
  /** The number of things that need attention; 0 is none. */
  badge?: (o: LiveOverview) => number;
  /** Whether it is in the menu; always by default. */
  shown?: (o: LiveOverview) => boolean;
  view: ComponentType<{ params: Params }>;
}

/** All views, in the order of the menu. All but the first are loaded when they are opened. */
export const pages: Page[] = [
  {
    name: "Overview",
    group: "Balancer",
    key: "o",
    patterns: ["/", "/instances/:service/:instance"],
    title: (p) => p.instance,
    view: OverviewView,
  },
  {
    name: "Decisions",
    group: "Balancer",
    key: "d",
    patterns: ["/decisions", "/decisions/:request"],
    title: (p) => p.request,
    view: later(() => import("./decisions/decisions").then((m) => ({ default: m.DecisionsView }))),
  },
  {
    name: "Requests",
    group: "Balancer",
    key: "r",
    patterns: ["/requests"],
    view: later(() => import("./requests/requests").then((m) => ({ default: m.RequestsView }))),
  },
  {
    name: "Capacity",
    group: "Balancer",
    key: "p",
    patterns: ["/capacity", "/capacity/:service"],
    title: (p) => p.service,
    view: later(() => import("./capacity/capacity").then((m) => ({ default: m.CapacityView }))),
  },
  {
    name: "Alerts",
    group: "Balancer",
    key: "a",
    patterns: ["/alerts"],
    badge: (o) => o.alerts.filter((a) => a.status === "firing" && !a.silence).length,
    view: later(() => import("./alerts/alerts").then((m) => ({ default: m.AlertsView }))),
  },
  {
    name: "Configuration",
    group: "Balancer",
    key: "c",
    patterns: ["/configuration", "/configuration/:tab"],
    view: later(() => import("./configuration/configuration").then((m) => ({ default: m.ConfigurationView }))),
  },
  {
    name: "Audit",
    group: "Balancer",
    key: "u",
    patterns: ["/audit"],
    view: later(() => import("./audit/audit").then((m) => ({ default: m.AuditView }))),
  },
  {
    name: "Demo",
    group: "Balancer",
    key: "x",
    patterns: ["/demo"],
    shown: (o) => o.node.demo,
    view: later(() => import("./demo/demo").then((m) => ({ default: m.DemoView }))),
  },
  {
    name: "Topics",
    group: "Kafka",
    key: "t",
    patterns: ["/topics", "/topics/:topic", "/topics/:topic/:tab"],
    title: (p) => p.topic,
    view: later(() => import("./topics/topics").then((m) => ({ default: m.TopicsView }))),
  },
  {
    name: "Groups",
    group: "Kafka",
    key: "g",
    patterns: ["/groups", "/groups/:group"],
    title: (p) => p.group,
    view: later(() => import("./groups/groups").then((m) => ({ default: m.GroupsView }))),
  },
  {
    name: "Topic plan",
    group: "Kafka",
    key: "y",
    patterns: ["/plan"],
    view: later(() => import("./plan/plan").then((m) => ({ default: m.PlanView }))),
  },
  {
    name: "Brokers",
    group: "Kafka",
    key: "b",
    patterns: ["/cluster"],
    view: later(() => import("./cluster/cluster").then((m) => ({ default: m.ClusterView }))),
  },
  {
    name: "Health",
    group: "Kafka",
    key: "h",
    patterns: ["/health"],
    view: later(() => import("./health/health").then((m) => ({ default: m.HealthView }))),
  },
  {
    name: "Connect",
    group: "Kafka",
    key: "k",
    patterns: ["/connectors", "/connectors/:connector"],
    title: (p) => p.connector,
    view: later(() => import("./connectors/connectors").then((m) => ({ default: m.ConnectorsView }))),
  },
];

/** The page of a path with the values of its names. */
export function pageOf(path: string): { page: Page; params: Params } | null {
  for (const page of pages) {
    for (const pattern of page.patterns) {
      const params = match(pattern, path);
      if (params) return { page, params };
    }
  }
  return null;
}
