import { readGo } from "./go.ts";
import { readJest, readMocha } from "./json.ts";
import { readJUnit } from "./junit.ts";
import type { Report, Reader } from "./results.ts";
import { isTap, readTap } from "./tap.ts";

/** "any": what it looks like. */
export type Format = "junit" | "tap" | "go" | "jest" | "mocha" | "any";

const readers: Record<Exclude<Format, "any">, Reader> = {
  junit: readJUnit,
  tap: readTap,
  go: readGo,
  jest: readJest,
  mocha: readMocha,
};

/** Reads a report of the tree at `root`. Whatever the bytes: it never throws, and takes time by their number alone. */
export function readReport(format: Format, bytes: Buffer, root: string): Report {
  const text = bytes.toString("utf8").replace(/^\uFEFF/, "");
  return readers[format === "any" ? formatOf(text) : format](text, root);
}

function formatOf(text: string): Exclude<Format, "any"> {
  const start = text.slice(0, 65_536).trimStart();
  if (start.startsWith("<")) return "junit";
  if (isTap(text) || !start.startsWith("{")) return "tap";
  if (start.slice(0, 2_000).includes('"Action"')) return "go";
  return text.includes('"testResults"') ? "jest" : "mocha";
}
