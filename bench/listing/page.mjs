// Times the long lists of a console: from the address to the first row, and from a letter in the filter to the filtered
// list. Prints JSON lines for bench/listing.
//
//   node bench/listing/page.mjs http://127.0.0.1:8083
import { createRequire } from "node:module";

const { chromium } = createRequire(new URL("../../web/package.json", import.meta.url))("@playwright/test");
const url = process.argv[2];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"] });
const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
for (const [path, word, rows] of [
  ["/topics", "bench-00042", 1],
  ["/groups", "group-0042", 1],
]) {
  const open = [];
  const filter = [];
  for (let n = 0; n < 7; n++) {
    await page.goto("about:blank");
    const began = performance.now();
    await page.goto(url + path, { waitUntil: "commit" });
    await page.waitForSelector(".vbody .vrow");
    open.push(performance.now() - began);
    const box = page.locator("main input[type=search]");
    await box.click();
    const typed = performance.now();
    await page.keyboard.insertText(word);
    await page.waitForFunction((want) => document.querySelectorAll(".vbody .vrow").length === want, rows, { polling: "raf" });
    filter.push(performance.now() - typed);
  }
  console.log(JSON.stringify({ Name: `${path} in a browser, first row`, Ms: open }));
  console.log(JSON.stringify({ Name: `${path} in a browser, filtered`, Ms: filter }));
}
await browser.close();
