import type { components } from "./schema";

type Schemas = components["schemas"];
export type Me = Schemas["Me"];
export type LoginMethods = Schemas["LoginMethods"];
export type Overview = Schemas["Overview"];
export type Changes = Schemas["Changes"];
export type Past = Schemas["Past"];
export type Decision = Schemas["Decision"];
export type Decisions = Schemas["Decisions"];
export type LoggedRequest = Schemas["LoggedRequest"];
export type LoggedRequests = Schemas["LoggedRequests"];
export type Search = Schemas["Search"];
export type Configuration = Schemas["Configuration"];
export type Entry = Schemas["Entry"];
export type RouteTest = Schemas["RouteTest"];
export type DiffLine = Schemas["DiffLine"];
export type Silence = Schemas["Silence"];
export type AuditRecord = Schemas["Record"];
export type AuditResult = Schemas["AuditResult"];
export type DemoState = Schemas["DemoState"];
export type Node = Schemas["Node"];
export type Service = Schemas["Service"];
export type Instance = Schemas["Instance"];
export type Alert = Schemas["Alert"];
export type AlertReceivers = Schemas["AlertReceivers"];
export type Capacity = Schemas["Capacity"];
export type Cost = Schemas["Cost"];
export type Explanation = Schemas["Explanation"];
export type Topic = Schemas["Topic"];
export type TopicDetail = Schemas["TopicDetail"];
export type TopicHistory = Schemas["TopicHistory"];
export type TopicGroup = Schemas["TopicGroup"];
export type TopicSchema = Schemas["TopicSchema"];
export type Connector = Schemas["Connector"];
export type Connectors = Schemas["Connectors"];
export type Setting = Schemas["RuledSetting"];
export type Rule = Schemas["Rule"];
export type ChangedConfig = Schemas["ChangedConfig"];
export type CatalogTopic = Schemas["CatalogTopic"];
export type NewTopic = Schemas["NewTopic"];
export type DeletedTopic = Schemas["DeletedTopic"];
export type Grown = Schemas["Grown"];
export type Truncation = Schemas["Truncation"];
export type Series = Schemas["Series"];
export type Step = Schemas["Step"];
export type Plan = Schemas["Plan"];
export type Applied = Schemas["Applied"];
export type Cluster = Schemas["Cluster"];
export type Broker = Schemas["Broker"];
export type BrokerHistory = Schemas["BrokerHistory"];
export type BrokerSetting = Schemas["BrokerSetting"];
export type OtherService = Schemas["OtherService"];
export type Health = Schemas["Health"];
export type Check = Schemas["Check"];
export type Message = Schemas["Message"];
export type Messages = Schemas["Messages"];
export type Group = Schemas["Group"];
export type GroupDetail = Schemas["GroupDetail"];
export type GroupPart = Schemas["GroupPart"];
export type Trend = Schemas["Trend"];
export type Reset = Schemas["Reset"];
export type DeletedGroup = Schemas["DeletedGroup"];
export type DeletedOffsets = Schemas["DeletedOffsets"];
export type Problem = Schemas["Problem"];
export type Code = Schemas["ProblemCode"];

/** An error response of the API. */
export class ApiError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.hint ? `${problem.error} (${problem.hint})` : problem.error);
  }
}

/** Whether an error of the API has one of the codes. */
export function hasCode(error: unknown, ...codes: Code[]): error is ApiError {
  return error instanceof ApiError && codes.includes(error.problem.code);
}

/** Whether the API refused the call itself: the same call would fail again. */
export function isFinal(error: unknown): error is ApiError {
  return error instanceof ApiError && !hasCode(error, "unavailable", "busy", "timeout", "internal");
}

/** The problem in an answer. A program between page and node may send a body of its own. */
export async function problemIn(response: Response): Promise<Problem> {
  const body = (await response.json().catch(() => null)) as Problem | null;
  return body ?? { error: `the node answered ${response.status}`, code: response.status < 500 ? "invalid" : "unavailable" };
}

const timeout = 12_000; // the server gives up after 10 s

async function call<T>(path: string, init: RequestInit): Promise<T> {
  const signal = init.signal ? AbortSignal.any([init.signal, AbortSignal.timeout(timeout)]) : AbortSignal.timeout(timeout);
  const response = await fetch(`/api/v1${path}`, { ...init, signal });
  if (!response.ok) throw new ApiError(await problemIn(response));
  return (await response.json().catch(() => null)) as T;
}

export function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return call<T>(path, signal ? { signal } : {});
}

/** A change is completed even if the user leaves the page meanwhile. For all such requests together a browser keeps up to 64 KiB of bodies. */
const outlives = 4_096; // characters

/** A preview does not count against that limit: its answer is useless after the page is gone. */
const asks = (path: string) => /dryRun=|\/check$/.test(path);

function send<T>(method: string, path: string, body: unknown): Promise<T> {
  const text = JSON.stringify(body);
  return call<T>(path, { method, headers: { "Content-Type": "application/json" }, body: text, keepalive: !asks(path) && text.length <= outlives });
}

export const post = <T = { result: string }>(path: string, body: unknown): Promise<T> => send<T>("POST", path, body);
export const put = <T>(path: string, body: unknown): Promise<T> => send<T>("PUT", path, body);
export const remove = <T>(path: string): Promise<T> => call<T>(path, { method: "DELETE", keepalive: !asks(path) });

/** A path segment of the API. */
export const seg = encodeURIComponent;
