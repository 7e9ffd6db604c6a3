import { readFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";
import { expect, it } from "vitest";

it("the types are those of the description (npm run generate)", async () => {
  const want = astToString(await openapiTS(new URL("../../../api/openapi.yaml", import.meta.url)));
  const have = readFileSync(new URL("./schema.d.ts", import.meta.url), "utf8");
  expect(have.slice(have.indexOf("export interface paths"))).toBe(want.slice(want.indexOf("export interface paths")));
});
