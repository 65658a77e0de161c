import { describe, expect, it } from "vitest";
import { isManifest, manifestsOf } from "../../worker/manifests.ts";
import { git, testRepository } from "../sandbox/support.ts";

describe("isManifest", () => {
  it.each([
    "package.json package-lock.json npm-shrinkwrap.json yarn.lock .yarnrc .yarnrc.yml pnpm-lock.yaml",
    "pnpm-workspace.yaml .npmrc .pnpmfile.cjs bun.lock bun.lockb bunfig.toml .yarn/releases/yarn-4.0.0.cjs",
    "requirements.txt requirements-dev.txt dev-requirements.txt requirements/test.txt requirements.in constraints.txt",
    "pyproject.toml setup.py setup.cfg tox.ini Pipfile Pipfile.lock poetry.lock uv.lock uv.toml pdm.lock environment.yml",
    "go.mod go.sum go.work go.work.sum Cargo.toml Cargo.lock .cargo/config .cargo/config.toml rust-toolchain",
    "rust-toolchain.toml Gemfile Gemfile.lock gems.rb x.gemspec .bundle/config composer.json composer.lock",
    "pom.xml mvnw .mvn/wrapper/maven-wrapper.properties .mvn/extensions.xml build.gradle build.gradle.kts",
    "settings.gradle settings.gradle.kts gradle.properties gradle.lockfile gradle/libs.versions.toml gradlew",
    "gradle/wrapper/gradle-wrapper.properties gradle/wrapper/gradle-wrapper.jar buildSrc/src/main/Deps.kt",
    "mix.exs mix.lock .tool-versions .nvmrc .python-version .node-version .ruby-version patches/a+1.0.0.patch",
  ])("knows %s, in any folder", (paths) => {
    for (const path of paths.split(" ")) {
      expect([path, isManifest(path)]).toEqual([path, true]);
      expect([path, isManifest(`services/api/${path}`)]).toEqual([path, true]);
    }
  });

  it.each([
    "src/index.ts README.md package.json.md my-package.json package.jsonc src/requirements.md docs/setup.python",
    "go.mod.ts cargo.toml.bak Dockerfile .github/workflows/ci.yml patches/readme.md src/gradle.ts test/fixtures/lock",
    "package.json/index.js yarn/lock .cargo/registry.rs environments.ts xbuildSrc/a.kt",
  ])("leaves %s alone", (paths) => {
    for (const path of paths.split(" ")) expect([path, isManifest(path)]).toEqual([path, false]);
  });
});

describe("manifestsOf", () => {
  it("lists those of one commit with the ids of their contents, whatever their names hold", async () => {
    const odd = 'a "b"\té/package.json';
    using repository = testRepository(
      { "package.json": "{}", "b/go.mod": "module b\n", [odd]: "{}", "src/a.ts": "1", "c/package.json/x": "a folder" },
      { "package.json": undefined, "b/go.mod": "module c\n" },
    );
    const { mirror, commits } = repository;
    const [first = "", second = ""] = commits;
    const oid = (commit: string, path: string) => git(mirror, "rev-parse", `${commit}:${path}`).trim();

    expect(await manifestsOf(mirror, first)).toEqual([
      { path: odd, oid: oid(first, odd) },
      { path: "b/go.mod", oid: oid(first, "b/go.mod") },
      { path: "package.json", oid: oid(first, "package.json") },
    ]);
    expect(await manifestsOf(mirror, second)).toEqual([
      { path: odd, oid: oid(first, odd) },
      { path: "b/go.mod", oid: oid(second, "b/go.mod") },
    ]);
  });
});
