// The broker dies, comes back, hangs and goes on while the balancer's pages are
// open, in a console process that has no proxy beside it. The second argument
// after the folder is who does that to the broker (POST /off, /on, /hang, /wake).
//
//   node e2e/away.mjs http://127.0.0.1:8083 "" http://127.0.0.1:7000
import { drive, never } from "./browser.mjs";

const hands = process.argv[4];
const tell = (what) => fetch(`${hands}/${what}`, { method: "POST" });

await drive(
  async ({ profile, url, check, picture, page }) => {
    const request = (await (await fetch(`${url}/api/v1/decisions?last=1`)).json())[0]?.requestId;
    check("a decision is recorded", request !== undefined);
    // Of each page: what it shows, how it says that the broker is away, that it has gone back to normal, and whether what it shows is greyed meanwhile.
    const note = () => /nothing listens|does not answer|no answer|deadline/.test(document.querySelector(".stale-note")?.textContent ?? "");
    const quiet = () => document.querySelector(".stale-note") === null && document.querySelector(".stale") === null;
    const greyed = () => document.querySelector(".stale") !== null;
    const places = {
      overview: {
        at: "/",
        has: () => document.querySelectorAll("[data-instance]").length === 3 && document.querySelector(".connection.live") !== null,
        says: () => /Kafka lost/.test(document.querySelector(".node-kafka")?.textContent ?? ""), // what it shows is of now: it comes from the proxy
        well: () => /connected/.test(document.querySelector(".node-kafka")?.textContent ?? "") && document.querySelector(".stale") === null,
      },
      instance: {
        at: "/instances/shop/i1",
        has: () => document.querySelector(".panel .cost-bars canvas") !== null,
        says: () => /Kafka lost/.test(document.querySelector(".node-kafka")?.textContent ?? ""),
        well: () => /connected/.test(document.querySelector(".node-kafka")?.textContent ?? ""),
      },
      health: { at: "/health", has: () => document.querySelectorAll(".checks li").length > 2, says: () => document.querySelector(".stale-note") !== null || /kafka|broker/i.test(document.querySelector(".checks.problem")?.textContent ?? ""), well: () => document.querySelector(".stale-note") === null && document.querySelector(".checks.problem") === null },
      configuration: { at: "/configuration", has: () => /prefix/.test(document.querySelector("pre.document")?.textContent ?? ""), says: note, well: quiet, greyed },
      history: { at: "/configuration/history", has: () => document.querySelectorAll(".vbody [role=row]").length > 0, says: note, well: quiet, greyed },
      decisions: {
        at: "/decisions",
        has: () => document.querySelectorAll(".vbody [role=row]").length > 0,
        says: () => /Kafka is unavailable/.test(document.querySelector(".stream-state")?.textContent ?? ""),
        well: () => document.querySelector(".stream-state")?.textContent.startsWith("live") && document.querySelector(".stale") === null,
        greyed,
      },
      decision: { at: `/decisions/${encodeURIComponent(request)}`, has: () => document.querySelectorAll(".attempt").length > 0 }, // what was, stays as it was
      alerts: { at: "/alerts", has: () => document.querySelector("main h1") !== null, says: note, well: quiet, greyed },
      audit: { at: "/audit", has: () => document.querySelectorAll(".vbody [role=row]").length > 0, says: note, well: quiet, greyed },
    };
    const pages = {};
    for (const [name, p] of Object.entries(places)) {
      pages[name] = await profile();
      await pages[name].goto(url + p.at);
    }
    const all = async (title, what, timeout = never) => {
      for (const [name, p] of Object.entries(places)) {
        if (!p[what]) continue;
        const began = Date.now();
        const ok = await pages[name].waitForFunction(p[what], undefined, { polling: 200, timeout }).then(
          () => true,
          () => false,
        );
        check(`${title}: ${name}`, ok, ok ? "" : (await pages[name].locator("body").textContent()).slice(0, 400));
        if (Date.now() - began > 1000) console.log(`     ${name} took ${((Date.now() - began) / 1000).toFixed(1)} s`);
      }
    };
    await all("open", "has");
    for (const [end, begin, how] of [
      ["on", "off", "dead"],
      ["wake", "hang", "hanging"],
    ]) {
      await tell(begin);
      await all(`the broker is ${how}: the page says so`, "says");
      await all("and greys what it shows", "greyed");
      await all("and keeps what it had", "has", 10_000); // it has it all the time; a busy machine is slow to say so
      if (process.argv[3]) for (const [name, p] of Object.entries(pages)) await p.screenshot({ path: `${process.argv[3]}/away-${how}-${name}.png` });
      await tell(end);
      await all("it answers again: the page goes on by itself", "well");
      await all("with what is there", "has");
    }
    // A page that is opened while the broker is away fills by itself when it is back.
    await tell("off");
    const late = {};
    for (const name of ["configuration", "history", "decisions", "decision", "audit"]) {
      late[name] = await profile();
      await late[name].goto(url + places[name].at);
      const ok = await late[name].waitForFunction(() => document.querySelector(".stale-note, .failure, .stale") !== null, undefined, { polling: 200 }).then(
        () => true,
        () => false,
      );
      check(`opened without a broker, it says why: ${name}`, ok, ok ? "" : (await late[name].locator("body").textContent()).slice(0, 400));
    }
    await tell("on");
    for (const [name, p] of Object.entries(late)) {
      const ok = await p.waitForFunction(places[name].has, undefined, { polling: 200, timeout: never }).then(
        () => true,
        () => false,
      );
      check(`and fills by itself: ${name}`, ok, ok ? "" : (await p.locator("body").textContent()).slice(0, 400));
    }
    await page.goto(url);
    await picture("away");
  },
  { expected: (m) => m.location().url.includes("/api/v1/") },
);
