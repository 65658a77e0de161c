import { describe, expect, it } from "vitest";
import { findOutOfScope } from "../../../worker/tamper/scope.ts";
import { pairsFrom } from "./support.ts";

const found = async (files: Parameters<typeof pairsFrom>[0]) =>
  findOutOfScope(await pairsFrom(files)).map(
    ({ kind, weight, path, detail }) => `${weight}: ${kind}: ${path} ${detail}`,
  );

describe("findOutOfScope", () => {
  it("stops each kind of change to CI and to protected paths", async () => {
    const files = {
      ".github/workflows/ci.yml": ["a", "b"],
      ".gitlab-ci.yml": ["a", undefined],
      ".GITHUB/dependabot.yml": [undefined, "a"],
      "docs/CODEOWNERS": ["a", "b"],
      "x/.npmrc": ["a", { mode: "120000", text: "npmrc" }],
      ".husky/pre-commit": ["a", { mode: "100755", text: "a" }],
    } as const;

    expect(await found(files)).toEqual([
      "block: protected-path: .GITHUB/dependabot.yml is new",
      "block: edited-ci: .github/workflows/ci.yml is changed",
      "block: edited-ci: .gitlab-ci.yml is deleted",
      "block: protected-path: .husky/pre-commit is changed",
      "block: protected-path: docs/CODEOWNERS is changed",
      "block: protected-path: x/.npmrc is changed",
    ]);
  });

  it("mentions dependencies, generated files and snapshots", async () => {
    const files = {
      "package-lock.json": ["a", "b"],
      "src/__snapshots__/a.snap": ["a", "b"],
      "src/__snapshots__/b.snap": [undefined, "b"],
      "src/__snapshots__/c.snap": ["a", undefined],
      "vendor/x/a.go": ["a", "b"],
    } as const;

    expect(await found(files)).toEqual([
      "advise: changed-dependencies: package-lock.json is changed",
      "advise: changed-snapshot: src/__snapshots__/a.snap is changed",
      "advise: changed-snapshot: src/__snapshots__/c.snap is deleted",
      "advise: changed-generated-file: vendor/x/a.go is changed",
    ]);
  });

  it("names no changed dependency where they are to be updated, and still stops what was protected", async () => {
    const files = { "package-lock.json": ["a", "b"], ".npmrc": ["a", "b"] } as const;

    const kinds = findOutOfScope(await pairsFrom(files), { updates: true }).map(({ kind, path }) => `${kind} ${path}`);

    expect(kinds).toEqual(["protected-path .npmrc"]);
  });

  it("stops what is outside of the paths that the task is about", async () => {
    const files = {
      "src/a.ts": ["a", "b"],
      "lib/a.ts": ["a", "b"],
      "src/old.ts": ["a", undefined],
      "package-lock.json": ["a", "b"],
      "packages/a/package.json": ["a", "b"],
    } as const;
    const stopped = async (options: Parameters<typeof findOutOfScope>[1]) =>
      findOutOfScope(await pairsFrom(files), options).flatMap(({ kind, path }) =>
        kind === "outside-paths" ? path : [],
      );

    expect(await stopped({})).toEqual([]);
    expect(await stopped({ paths: ["src/**"] })).toEqual(["lib/a.ts", "package-lock.json", "packages/a/package.json"]);
    expect(await stopped({ paths: ["src", "packages/a"], updates: true })).toEqual(["lib/a.ts"]);
    expect(findOutOfScope(await pairsFrom(files), { paths: ["src"] })[0]).toMatchObject({
      weight: "block",
      detail: "is changed, and the task is to change src alone",
    });
  });

  it("stops a submodule that is gone", async () => {
    expect(await found({ lib: [{ mode: "160000", text: "" }, undefined] })).toEqual([
      "block: changed-submodule: lib is deleted",
    ]);
  });

  it.each([
    ["a.ts", "if (process.env.VITEST) return 3;"],
    ["a.ts", 'if (process.env.NODE_ENV === "test") return 3;'],
    ["a.ts", 'if (process.env["NODE_ENV"] == "test") return 3;'],
    ["a.ts", 'if ("test" === process.env.NODE_ENV) return 3;'],
    ["a.ts", 'if (typeof describe !== "undefined") return 3;'],
    ["a.py", 'if "PYTEST_CURRENT_TEST" in os.environ: return 3'],
    ["a.py", 'if "pytest" in sys.modules: return 3'],
    ["a.go", "if testing.Testing() { return 3 }"],
    ["a.go", 'if flag.Lookup("test.v") != nil { return 3 }'],
    ["a.rs", "if cfg!(test) { return 3 }"],
    ["a.rb", "return 3 if Rails.env.test?"],
    ["a.rb", 'return 3 if ENV["RAILS_ENV"] == "test"'],
    ["a.php", "<?php if (app()->runningUnitTests()) return 3;"],
  ])("mentions that %s asks whether it is tested: %s", async (path, text) => {
    expect(await found({ [path]: ["", text] })).toEqual([
      `advise: special-cased-tests: ${path} asks whether it is being tested, and did not before`,
    ]);
    expect(await found({ [path]: [text, `${text}\n`] })).toEqual([]);
  });

  it("leaves tests, comments and other questions alone", async () => {
    const files = {
      "a.test.ts": ["", "process.env.VITEST"],
      "a.ts": ["", '// process.env.VITEST\nif (process.env.NODE_ENV === "production") return 3;'],
      "a.rs": ["", "#[cfg(test)]\nmod tests {}"],
    } as const;

    expect(await found(files)).toEqual([]);
  });

  it.each(["/* v8 ignore next */", "# pragma: no cover", "// LCOV_EXCL_LINE", "/* istanbul ignore if */"])(
    "mentions code that is no longer measured: %s",
    async (comment) => {
      expect(await found({ "a.c": ["", comment] })).toEqual([
        "advise: excluded-from-coverage: a.c takes code out of the measured coverage",
      ]);
    },
  );
});
