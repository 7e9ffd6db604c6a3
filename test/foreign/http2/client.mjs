// client.mjs CA URL: 200 POSTs at the same time on one connection, with Node's own HTTP/2. Prints how many got their own
// body back.
import { connect } from "node:http2";
import { readFileSync } from "node:fs";

const [ca, url] = process.argv.slice(2);
const session = connect(url, { ca: readFileSync(ca) });
session.on("error", (e) => { console.error(e); process.exit(1); });
const one = (i) => new Promise((resolve, reject) => {
  const body = `${i} `.repeat(i * 100);
  const req = session.request({ ":method": "POST", ":path": "/echo" });
  let got = "";
  req.setEncoding("utf8");
  req.on("data", (d) => { got += d; });
  req.on("end", () => resolve(got === body ? 1 : 0));
  req.on("error", reject);
  req.end(body);
});
let right = 0;
const all = Array.from({ length: 200 }, (_, i) => i);
const next = async () => { for (let i = all.shift(); i !== undefined; i = all.shift()) { const r = await one(i); right += r; }; };
await Promise.all(Array.from({ length: 50 }, next));
console.log(right);
session.close();
