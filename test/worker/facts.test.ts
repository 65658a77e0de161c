import { marked } from "marked";
import { describe, expect, it } from "vitest";
import type { PackageChange } from "../../src/package-facts.ts";
import type { RunEvent, Stamped } from "../../src/runlog.ts";
import { dependencyFacts, flakyFacts, refusedFacts, runFacts, statusFacts } from "../../worker/facts.ts";
import { job } from "./support.ts";

function logOf(...events: RunEvent[]): Stamped[] {
  return events.map((event, index) => ({ n: index + 1, at: "2026-01-01T00:00:00.000Z", ...event }));
}

const environment: RunEvent = {
  type: "environment",
  image: "node:24",
  digest: `sha256:${"b".repeat(64)}`,
  setup: ["npm ci"],
  checks: ["npm test", "npm run lint"],
  from: "npm, .devcontainer/devcontainer.json",
};
const note = (text: string): RunEvent => ({ type: "note", text });
const network = (command: string, refused: string[]): RunEvent => ({
  type: "network",
  command,
  hosts: ["registry.example.com"],
  refused,
});
const change = (name: string, more: Partial<PackageChange> = {}): PackageChange => ({
  path: "package-lock.json",
  name,
  from: ["1.0.0"],
  to: ["1.1.0"],
  script: false,
  ...more,
});
const dependencies = (packages: PackageChange[], more = 0): RunEvent => ({
  type: "dependencies",
  files: ["package-lock.json"],
  packages,
  more,
});

/** Texts of a repository that would act outside of code. */
const hostile = "`</details> ![x](http://evil) @ada fixes #1 | cell\n\n<img src=x> \u{202E}";

/** What a reader's browser would get, without what our own words bring. */
function acts(markdown: string): string[] {
  const html = marked.parse(markdown, { async: false }).replaceAll(/<code>.*?<\/code>/gs, "");
  return html.match(/<img[^>]*>|<a [^>]*>|<\/details>|@ada|fixes #1|\u{202E}/gu) ?? [];
}

describe("statusFacts", () => {
  it("says what is used and what is not", () => {
    const text = "`features` of `.devcontainer/devcontainer.json` is not used: it would act on the engine.";

    expect(statusFacts(logOf(environment, note(text)))).toEqual([
      "Works with image `node:24`, set-up `npm ci`, checks `npm test`, `npm run lint` (commands from npm, .devcontainer/devcontainer.json).",
      `- ${text}`,
    ]);
  });

  it("says nothing before anything is known", () => {
    expect(statusFacts([])).toEqual([]);
    expect(statusFacts(logOf(note("Only this.")))).toEqual(["- Only this."]);
  });

  it("says each note once, also after a run began again, and at most ten lines of them", () => {
    const notes = Array.from({ length: 30 }, (_, i) => note(`Note ${i}.`));

    const [text = ""] = statusFacts(logOf(...notes, ...notes));

    expect(text.split("\n")).toHaveLength(10);
    expect(text.split("\n").at(-1)).toBe("- 21 more");
  });

  it("shows the environment of the last try", () => {
    const [text] = statusFacts(logOf(environment, { ...environment, image: "node:26", setup: [] }));

    expect(text).toContain("image `node:26`, set-up none,");
  });

  it("lets nothing act that a repository wrote", () => {
    const used = { ...environment, image: hostile, setup: [hostile], checks: [hostile], from: hostile };
    const text = statusFacts(logOf(used, note(hostile))).join("\n");

    expect(acts(text)).toEqual([]);
    expect(text.split("\n")).toHaveLength(2);
  });
});

describe("dependencyFacts", () => {
  it("shows new, changed and removed packages, and whose install script did not run", () => {
    const packages = [
      change("esbuild", { from: [], to: ["0.21.5"], script: true }),
      change("debug", { from: ["4.3.4", "2.6.9"], to: ["4.3.5", "2.6.9"] }),
      change("left-pad", { to: [] }),
    ];

    expect(dependencyFacts(logOf({ type: "agent.end", end: "submitted" }, dependencies(packages)))).toEqual([
      [
        "**Dependencies** changed in `package-lock.json`",
        "",
        "| package | from | to |",
        "|---|---|---|",
        "| `esbuild` (its install script did not run) | new | `0.21.5` |",
        "| `debug` | `4.3.4`, `2.6.9` | `4.3.5`, `2.6.9` |",
        "| `left-pad` | `1.0.0` | removed |",
      ].join("\n"),
    ]);
  });

  it("names the files alone where no package of them could be read", () => {
    expect(dependencyFacts(logOf(dependencies([])))).toEqual(["**Dependencies** changed in `package-lock.json`"]);
  });

  it("says nothing of a change without dependencies, nor of one that a later round took back", () => {
    const end: RunEvent = { type: "agent.end", end: "submitted" };

    expect(dependencyFacts(logOf(end))).toEqual([]);
    expect(dependencyFacts(logOf({ type: "dependencies", files: [], packages: [], more: 0 }))).toEqual([]);
    expect(dependencyFacts(logOf(end, dependencies([change("a")]), end))).toEqual([]);
  });

  it("shows 20 packages and folds the others", () => {
    const packages = Array.from({ length: 50 }, (_, i) => change(`p${i}`));

    const [text = ""] = dependencyFacts(logOf(dependencies(packages, 7)));
    const [shown = "", folded = ""] = text.split("<details>");

    expect(shown).toContain("| `p19` |");
    expect(shown).not.toContain("| `p20` |");
    expect(folded).toContain("<summary>30 more packages</summary>\n\n| package |");
    expect(folded).toContain("| `p49` |");
    expect(text.endsWith("</details>\n\n7 more changed packages are not listed.")).toBe(true);
  });

  it("leaves room in the pull request for everything else, and counts what it leaves out", () => {
    const long = { from: Array(5).fill("1".repeat(100)), to: Array(5).fill("2".repeat(100)) };
    const packages = Array.from({ length: 200 }, (_, i) => change(`${i}${"x".repeat(190)}`, long));

    const [text = ""] = dependencyFacts(logOf(dependencies(packages, 1)));
    const rows = text.split("\n").filter((line) => line.startsWith("| `"));

    expect(text.length).toBeLessThan(21_000);
    expect(rows.length).toBeGreaterThan(10);
    expect(text).toContain(`${200 - rows.length + 1} more changed packages are not listed.`);
  });

  it("keeps a row a row and lets nothing act, whatever the packages are called", () => {
    const packages = [change(hostile, { from: [hostile], to: [hostile, ""] }), change("")];
    const [text = ""] = dependencyFacts(logOf({ type: "dependencies", files: [hostile], packages, more: 0 }));

    expect(acts(text)).toEqual([]);
    const rows = marked.parse(text, { async: false }).match(/<tr>.*?<\/tr>/gs) ?? [];
    expect(rows.map((row) => row.match(/<td>/g)?.length)).toEqual([undefined, 3, 3]);
  });
});

describe("flakyFacts", () => {
  const base: RunEvent = { type: "flaky", leg: "base", names: ["adds", hostile], times: 2 };
  const head: RunEvent = { ...base, leg: "head", times: 3 };

  it("says how many of the named tests ran how often with one result", () => {
    const events = logOf(
      { ...base, names: ["a"] },
      { ...base, names: ["adds", "waits"] },
      { ...head, names: ["adds"] },
    );

    expect(flakyFacts(events)).toEqual(["**Steady**: 1 of the 2 named tests ran 3 times with one result: `adds`."]);
  });

  it("says nothing where none was named, or none ran again", () => {
    expect(flakyFacts([])).toEqual([]);
    expect(flakyFacts(logOf(base))).toEqual([]);
  });

  it("lets nothing act that a test is called", () => {
    const [text = ""] = flakyFacts(logOf(base, head));

    expect(acts(text)).toEqual([]);
    expect(text).not.toContain("\n");
  });
});

describe("refusedFacts", () => {
  it("names on one line what was refused and which command asked", () => {
    const events = logOf(
      network("npm ci", ["telemetry.example"]),
      network("npm run x", []),
      network("make", ["a:8080"]),
    );

    expect(refusedFacts(events)).toEqual([
      "The set-up network refused `telemetry.example` (asked by `npm ci`), `a:8080` (asked by `make`).",
    ]);
  });

  it("says nothing where nothing was refused", () => {
    expect(refusedFacts(logOf(network("npm ci", [])))).toEqual([]);
  });

  it("stays one short line", () => {
    const hosts = Array.from({ length: 100 }, (_, i) => `h${i}.example`);

    const [text = ""] = refusedFacts(logOf(network("npm ci", hosts), network("npm ci", hosts)));

    expect(text).toMatch(/`h3\.example` \(asked by `npm ci`\), 96 more\.$/);
  });

  it("lets nothing act that a host or a command is called", () => {
    const [text = ""] = refusedFacts(logOf(network(hostile, [hostile])));

    expect(acts(text)).toEqual([]);
    expect(text).not.toContain("\n");
  });
});

describe("runFacts", () => {
  const usage = { promptTokens: 1000, completionTokens: 50, cachedTokens: 800 };
  const start: RunEvent[] = [
    { type: "claimed", epoch: 1, job },
    { type: "base", branch: "main", commit: "a".repeat(40) },
    environment,
  ];
  const setup = (ms: number, output: string): RunEvent => ({ type: "setup", ok: true, ms, output });

  it("says what the run worked with and what it was refused", () => {
    const events = logOf(
      ...start,
      note("`runArgs` is not used."),
      setup(900, "$ npm ci\n"),
      network("npm ci", ["telemetry.example"]),
      { type: "attempt", round: 0, model: "qwen" },
      { type: "model.result", step: 1, calls: 3, recovered: 2, text: "", usage, ms: 5 },
      { type: "tool.result", step: 1, name: "bash", ok: true, ms: 1, bytes: 1, repaired: ["aliased cmd"] },
    );

    expect(runFacts(events, "3 min").split("\n")).toEqual([
      "- model: `qwen`",
      "- run: `run-1`",
      "- time: 3 min, 1 steps",
      "- tokens: 1000 in (800 cached, 80 %), 50 out",
      "- calls: 2 read from the model's text, 1 with arguments put right",
      `- base commit: \`${"a".repeat(40)}\``,
      "- image: `node:24` (`sha256:bbbbbbbbbbbb`), commands from npm, .devcontainer/devcontainer.json",
      "- set-up: `npm ci`",
      "- set-up network: `registry.example.com`",
      "- refused: `telemetry.example` (asked by `npm ci`)",
      "- `runArgs` is not used.",
    ]);
  });

  it("says where set-up was kept from an earlier run, also when the change then brought its own", () => {
    const kept = setup(0, "(kept from an earlier run)");

    expect(runFacts(logOf(...start, kept, setup(900, "$ npm ci\n")), "1 s")).toContain(
      "- set-up: `npm ci`, kept from an earlier run",
    );
    expect(runFacts(logOf(...start, kept, ...start, setup(900, "$ npm ci\n")), "1 s")).toMatch(/- set-up: `npm ci`$/m);
  });

  it("lets nothing act that a repository wrote", () => {
    const used = { ...environment, image: hostile, setup: [hostile], from: hostile };
    const text = runFacts(logOf(used, network(hostile, [hostile]), note(hostile)), "1 s");

    expect(acts(text)).toEqual([]);
    expect(text.split("\n").every((line) => line.startsWith("- "))).toBe(true);
  });
});
