import { QueryClient, QueryClientProvider, useQuery } from "@tanstack/react-query";
import { StrictMode, Suspense, useEffect } from "react";
import { createRoot } from "react-dom/client";
import { ApiError, get, type Me } from "./api/client";
import { OverviewProvider, overviewKey } from "./live/overview";
import { Login } from "./login/login";
import { pageOf, pages } from "./pages";
import "./styles/index.css";
import { Boundary } from "./ui/boundary";
import { Link } from "./ui/link";
import { usePath } from "./ui/route";
import { Shell } from "./shell";
import { Waiting } from "./ui/states";

const client = new QueryClient({
  defaultOptions: {
    queries: {
      retry: (failures, error) => failures < 2 && !(error instanceof ApiError), // the node answered; polled queries are repeated anyway
      refetchOnWindowFocus: true,
      // A query that failed through no fault of its own is repeated until it succeeds; polled queries have their own interval.
      refetchInterval: ({ state }) => (state.status === "error" && !(state.error instanceof ApiError && state.error.status < 500) ? 5_000 : false),
    },
  },
});
// Every overview differs from the last: comparing 5,000 instances to share what is equal costs more than it saves.
client.setQueryDefaults(overviewKey, { structuralSharing: false });

/** The console, or the login if the node needs one. */
function Door() {
  const me = useQuery({ queryKey: ["me"], queryFn: ({ signal }) => get<Me>("/me", signal), staleTime: 60_000 });
  if (me.error instanceof ApiError && me.error.status === 401) return <Login />;
  return (
    <OverviewProvider>
      <App />
    </OverviewProvider>
  );
}

function App() {
  const path = usePath();
  const place = pageOf(path);
  const name = place ? (place.page.title?.(place.params) ?? place.page.name) : "Not found";
  useEffect(() => {
    document.title = `${name} · smartlb`;
  }, [name]);
  return (
    <Shell page={place?.page}>
      {place ? (
        <Boundary key={place.page.name}>
          <Suspense fallback={<Waiting what={`the page ${place.page.name}`} />}>
            <place.page.view params={place.params} />
          </Suspense>
        </Boundary>
      ) : (
        <main id="main" className="empty">
          <h1>Page not found</h1>
          <p>
            {pages.map((p, n) => (
              <span key={p.name}>
                {n > 0 && " · "}
                <Link href={p.patterns[0] ?? "/"}>{p.name}</Link>
              </span>
            ))}
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
        <Door />
      </QueryClientProvider>
    </StrictMode>,
  );
}
