import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// The UI is embedded into the Go binary from ../internal/console/ui/dist. The
// folder is emptied first; its tracked .keep comes back from public/.
export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "../internal/console/ui/dist",
    emptyOutDir: true,
    target: "es2023",
    assetsInlineLimit: 0, // a data: URL of a script or style would break the page's CSP
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/api": process.env.SMARTLB_CONSOLE ?? "http://127.0.0.1:8083" } },
  test: {
    include: ["src/**/*.test.ts", "src/**/*.test.tsx"],
    testTimeout: 120_000, // for what never ends, not a measure of speed
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
  },
});
