import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode, useEffect } from "react";
import { createRoot } from "react-dom/client";
import { ApiError } from "./api/client";
import { OverviewProvider, overviewKey } from "./live/overview";
import { OverviewView } from "./overview/overview";
import "./styles/index.css";
import { TopicsView } from "./topics/topics";
import { Link } from "./ui/link";
import { parsePlace, paths, usePath } from "./ui/route";
import { Shell } from "./ui/shell";

const client = new QueryClient({
  defaultOptions: {
    queries: {
      retry: (failures, error) => failures < 2 && !(error instanceof ApiError && error.status === 404),
      refetchOnWindowFocus: true,
    },
  },
});
// Every overview differs from the last: comparing 5,000 instances to share what is equal costs more than it saves.
client.setQueryDefaults(overviewKey, { structuralSharing: false });

function App() {
  const path = usePath();
  const place = parsePlace(path);
  useEffect(() => {
    const name =
      place.view === "overview" ? (place.instance?.id ?? "Overview") : place.view === "topics" ? (place.topic ?? "Topics") : "Not found";
    document.title = `${name} · smartlb`;
  }, [path]);
  return (
    <Shell place={place}>
      {place.view === "overview" && <OverviewView selected={place.instance} />}
      {place.view === "topics" && <TopicsView topic={place.topic} />}
      {place.view === "nowhere" && (
        <main id="main" className="empty">
          <h1>There is no such page</h1>
          <p>
            <Link href={paths.overview}>Overview</Link> · <Link href={paths.topics}>Topics</Link>
          </p>
        </main>
      )}
    </Shell>
  );
}

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <OverviewProvider>
          <App />
        </OverviewProvider>
      </QueryClientProvider>
    </StrictMode>,
  );
}
