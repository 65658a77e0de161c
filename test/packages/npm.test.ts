import { afterEach, expect, it } from "vitest";
import { testEngine } from "../sandbox/support.ts";
import { expectNothingLeft } from "../end-to-end/support/local.ts";
import { installed, judgeChange, publishedTree } from "./support.ts";
import type { Tree } from "./support.ts";

const engine = testEngine();
afterEach(() => expectNothingLeft(engine));

/** Left out of what a version needs for its tests: it checks style, builds or publishes. */
const notForTests =
  /eslint|nyc|^aud$|evalmd|in-publish|auto-changelog|npmignore|safe-publish|@ljharb|browserify|airtap|^@types|typescript|attw|covert|istanbul|jshint|standard|mkdirp/;
const tape = "npx tape 'test/**/*.js'";

interface Published {
  name: string;
  /** The version before the change, and the one that has it. */
  versions: [string, string];
  title: string;
  decision: string;
  base: { passed: number; failed: number };
  /** One of the tests that fail without the change. */
  bites: RegExp;
}

const published: Published[] = [
  {
    name: "minimist",
    versions: ["1.2.5", "1.2.6"],
    title: "A method's constructor leads to a prototype",
    decision: "ready",
    base: { passed: 56, failed: 0 },
    bites: /proto pollution/,
  },
  {
    name: "qs",
    versions: ["6.15.2", "6.15.3"],
    title: "arrayLimit does not hold where values are merged",
    decision: "ready",
    base: { passed: 304, failed: 0 },
    bites: /past arrayLimit/,
  },
  {
    name: "deep-equal",
    versions: ["2.1.0", "2.2.0"],
    title: "Shared buffers are not compared",
    decision: "ready",
    base: { passed: 53, failed: 0 },
    bites: /SharedArrayBuffers/,
  },
  {
    name: "json-stable-stringify",
    versions: ["1.2.1", "1.3.0"],
    title: "Empty objects can't be kept on one line",
    decision: "ready",
    base: { passed: 29, failed: 0 },
    bites: /collapseEmpty/,
  },
  {
    name: "function.prototype.name",
    versions: ["1.0.2", "1.0.3"],
    title: "Names are lost where code was minified",
    decision: "ready",
    base: { passed: 6, failed: 0 },
    bites: /Function.prototype.name/,
  },
  {
    name: "mock-property",
    versions: ["1.1.0", "1.1.1"],
    title: "An inherited property crashes it",
    decision: "ready",
    base: { passed: 42, failed: 0 },
    bites: /inherited/,
  },
  {
    name: "is-equal",
    versions: ["1.6.3", "1.6.4"],
    title: "Own properties of dates, regexes and functions are not compared",
    decision: "ready",
    base: { passed: 33, failed: 0 },
    bites: /regexes/,
  },
  {
    name: "side-channel",
    versions: ["1.1.0", "1.1.1"],
    title: "assert reads the keys of an object when it throws",
    decision: "ready",
    base: { passed: 6, failed: 0 },
    bites: /assert/,
  },
  {
    name: "is-boolean-object",
    versions: ["1.2.1", "1.2.2"],
    title: "A fake boolean passes for one",
    decision: "ready",
    base: { passed: 4, failed: 0 },
    bites: /Proxy/,
  },
  {
    name: "es-set-tostringtag",
    versions: ["2.0.3", "2.1.0"],
    title: "An option that is no boolean is taken",
    decision: "ready",
    base: { passed: 2, failed: 0 },
    bites: /setToStringTag/,
  },
];

it.each(published)("$name $versions: $title", async ({ name, versions, title, decision, base: counted, bites }) => {
  const [base, head] = await Promise.all(versions.map((version) => publishedTree(name, version)));
  const manifest = JSON.parse(head?.["package.json"] ?? "{}") as Record<
    "dependencies" | "devDependencies",
    Record<string, string> | undefined
  >;
  const forTests = Object.entries(manifest.devDependencies ?? {}).filter(([one]) => !notForTests.test(one));
  using modules = installed({ ...Object.fromEntries(forTests), ...manifest.dependencies });
  const judged = await judgeChange(engine, {
    base: base ?? {},
    head: withoutRelease(base ?? {}, head ?? {}),
    check: tape,
    modules: modules.folder,
    title,
  });

  expect({ ...judged, bites: judged.bites.join("\n") }).toMatchObject({
    decision,
    base: counted,
    bites: expect.stringMatching(bites),
  });
});

/** What a release changes beside the mend (its manifest, settings of its tools) is no part of a change for an issue. */
function withoutRelease(base: Tree, head: Tree): Tree {
  const isRelease = (path: string) => path === "package.json" || path.startsWith(".") || path === "CHANGELOG.md";
  const own = ([path]: [string, string]) => !isRelease(path);
  return Object.fromEntries([
    ...Object.entries(head).filter(own),
    ...Object.entries(base).filter((entry) => !own(entry)),
  ]);
}
