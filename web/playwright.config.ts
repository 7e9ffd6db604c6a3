import { defineConfig } from "@playwright/test";

// The browser tests look at a console that already runs, at CONSOLE_URL; Go tests in ../test/e2e start one for each
// spec file. Tests of one file share that console, so they run one after the other.
export default defineConfig({
  testDir: "e2e",
  outputDir: "test-results",
  workers: 1,
  retries: 0, // a test that passes only sometimes is a defect
  forbidOnly: process.env.CI === "true",
  timeout: 8 * 60_000, // ends what never ends: on a busy machine, a test of one minute takes four
  expect: { timeout: 120_000 },
  reporter: "list",
  use: {
    viewport: { width: 1440, height: 900 },
    colorScheme: "dark",
    actionTimeout: 120_000,
    navigationTimeout: 120_000,
    trace: { mode: "retain-on-failure", screenshots: false }, // a screencast takes a processor from the page
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
    },
  },
});
