import { describe, expect, it } from "vitest";
import { isTestName, kindOf } from "../../../worker/tamper/kinds.ts";

describe("kindOf", () => {
  it.each([
    ["test", "JavaScript", "a.test.ts a.spec.jsx src/__tests__/a.js test/a.js a-test.mjs a_test.ts test-a.cjs x.cy.ts"],
    ["test", "Python", "test_a.py a_test.py tests/helpers.py conftest.py pkg/tests.py"],
    ["test", "Go", "a_test.go pkg/testdata/in.json"],
    ["test", "Rust", "tests/a.rs crates/x/tests/common/mod.rs"],
    ["test", "Ruby", "spec/a_spec.rb test/test_a.rb a_test.rb spec/support/x.rb"],
    ["test", "Java", "src/test/java/x/Helper.java x/FooTest.java x/TestFoo.java x/FooTests.kt x/FooIT.java"],
    ["test", "C#", "My.Tests/Helper.cs a/FooTests.cs Foo.UnitTests/x.json"],
    ["test", "PHP", "tests/Unit/FooTest.php a/FooTest.php"],
    ["test", "C and C++", "test_a.c a_test.cc a_unittest.cpp tests/a.c a.test.cpp t/basic.t"],
    ["test", "data of tests", "test/fixtures/package.json tests/data/page.md fixtures/a/README.md"],
    ["snapshot", "snapshots", "src/__snapshots__/a.test.ts.snap a.snap t/__snapshots__/x.ambr a.approved.txt b.golden"],
    [
      "test-config",
      "JavaScript",
      "vitest.config.ts jest.config.js .mocharc.yml .nycrc vite.config.mts .c8rc.json .taprc",
    ],
    ["test-config", "Python", "pytest.ini tox.ini noxfile.py .coveragerc"],
    ["test-config", "others", ".rspec phpunit.xml.dist x.runsettings Makefile Rakefile codecov.yml tarpaulin.toml"],
    ["ci", "GitHub", ".github/workflows/ci.yml .github/actions/a/action.yml .GitHub/Workflows/CI.yml"],
    ["ci", "others", ".gitlab-ci.yml .circleci/config.yml Jenkinsfile sub/JENKINSFILE azure-pipelines.yml .travis.yml"],
    ["ci", "others", ".drone.yml bitbucket-pipelines.yml .buildkite/pipeline.yml cloudbuild.yaml .cirrus.yml"],
    ["protected", "top folders with a dot", ".github/dependabot.yml .husky/pre-commit .claude/x .Vscode/tasks.json"],
    [
      "protected",
      "who reviews, what agents read",
      "CODEOWNERS docs/codeowners AGENTS.md a/CLAUDE.md gemini.md .mcp.json",
    ],
    ["protected", "git and package managers", ".gitattributes sub/.gitmodules .npmrc a/.NPMRC .yarnrc.yml bunfig.toml"],
    ["protected", "another spelling", ".gith\u{200c}ub/x .github./x"],
    ["generated", "generated and vendored", "vendor/a/b.go dist/x.js a.min.js x_pb2.py a.pb.go node_modules/x/i.js"],
    ["manifest", "manifests", "package.json sub/Cargo.lock pyproject.toml go.mod setup.cfg"],
    [
      "documentation",
      "documents",
      "README.md docs/a.html CHANGELOG LICENSE.txt a/b.rst docs/x.png README.zh-CN.md LICENSE-MIT .changeset/big-dog.md",
    ],
    [
      "source",
      "sources",
      "src/a.ts Latest.java src/contest.py docs/conf.py .github.ts testing.go src/latest.js words.txt src/history.js support.ts",
    ],
  ])("takes for %s (%s): %s", (kind, _what, paths) => {
    for (const path of paths.split(" ")) expect([path, kindOf(path)]).toEqual([path, kind]);
  });

  it("protects what the settings add, as a glob, a folder or a file, without regard to case", () => {
    const protect = ["deploy/", "*.sql", "src/Billing/**/*.ts"];

    for (const path of ["deploy/a/b.sh", "Deploy/x", "a.SQL", "src/billing/x/y.ts"]) {
      expect([path, kindOf(path, protect)]).toEqual([path, "protected"]);
    }
    expect(kindOf("src/deploy/a.ts", protect)).toBe("source");
  });

  it("tells a test by its name from one by its folder", () => {
    expect(["a.test.ts", "x/test_a.py", "FooTest.java", "t/a.t"].filter(isTestName)).toHaveLength(4);
    expect(["test/helper.ts", "tests/data.json", "Latest.java"].filter(isTestName)).toEqual([]);
  });
});
