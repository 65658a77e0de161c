import { describe, expect, it } from "vitest";
import { describe as describeEvent } from "../../../src/cli/runs.ts";
import type { RunEvent } from "../../../src/runlog.ts";

const said = (event: RunEvent) => describeEvent({ n: 1, at: "2026-01-01T00:00:00.000Z", ...event });
const change = { path: "package-lock.json", from: [], script: false };

describe("an event of a run", () => {
  it.each<[RunEvent, string]>([
    [
      { type: "network", command: "npm ci", hosts: ["a.example", "b.example"], refused: ["c.example"] },
      "npm ci: refused c.example; open: a.example, b.example",
    ],
    [{ type: "network", command: "make", hosts: [], refused: [] }, "make: nothing refused; open: none"],
    [{ type: "note", text: "`features` is not used." }, "`features` is not used."],
    [
      {
        type: "dependencies",
        files: ["package.json", "package-lock.json"],
        packages: [
          { ...change, name: "ms", to: ["2.1.3", "2.0.0"] },
          { ...change, name: "debug", to: [] },
        ],
        more: 3,
      },
      "package.json, package-lock.json: ms 2.1.3, 2.0.0; debug removed; 3 more",
    ],
    [{ type: "dependencies", files: ["bun.lockb"], packages: [], more: 0 }, "bun.lockb"],
    [{ type: "setup", ok: true, ms: 0, output: "(kept from an earlier run)" }, "kept from an earlier run"],
    [{ type: "setup", ok: false, ms: 70, output: "$ npm ci\nerror" }, "failed in 70 ms: $ npm ci"],
  ])("says of %o on one line what happened", (event, expected) => {
    expect(said(event)).toBe(expected);
  });

  it("gives a terminal nothing to obey, whoever wrote the text", () => {
    const text = "a\u{1B}[2J\u{7}b\r\nc\u{202E}d\u{9B}31m";

    const events: RunEvent[] = [
      { type: "note", text },
      { type: "network", command: text, hosts: [text], refused: [text] },
      { type: "tool.intent", step: 1, name: "bash", summary: text },
    ];
    for (const event of events) expect(said(event)).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });
});
