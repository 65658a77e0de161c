import { pathKey } from "../../sandbox/paths.ts";
import { isUnder } from "../globs.ts";
import { isManifest } from "../manifests.ts";

/** What a file is for, told from its path alone. */
export type Kind =
  | "ci"
  | "protected"
  | "generated"
  | "snapshot"
  | "test-config"
  | "test"
  | "manifest"
  | "documentation"
  | "source";

/**
 * The first of these kinds that a path is of. `protect` holds further protected paths, as globs or folders. What protects
 * something is compared without regard to case. Of a manifest (`package.json`, `pyproject.toml`) a part may configure
 * tests too.
 */
export function kindOf(path: string, protect: readonly string[] = []): Kind {
  const key = pathKey(path);
  if (ciFiles.test(key)) return "ci";
  if (isProtected(key, protect)) return "protected";
  if (generated.test(key)) return "generated";
  if (snapshots.test(key)) return "snapshot";
  if (testConfigs.test(key)) return "test-config";
  if (isTestName(path) || fixtures.test(key)) return "test";
  if (isManifest(path)) return "manifest";
  if (documents.test(key)) return "documentation";
  if (testFolders.test(key) || specFolders.test(key)) return "test";
  if (otherDocuments.test(key)) return "documentation";
  return "source";
}

/**
 * Whether a file's own name says that a runner takes tests from it, by the defaults of: node --test, Jest, Vitest, Mocha,
 * Deno and Cypress; pytest, unittest and Django; go test; RSpec and Minitest; Surefire and Failsafe; xUnit, NUnit and
 * MSTest; PHPUnit; GoogleTest and Catch2 by habit; prove.
 */
export function isTestName(path: string): boolean {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return testNames.test(name.toLowerCase()) || camelNames.test(name) || /(?:^|\/)conftest\.py$/i.test(path);
}

function isProtected(key: string, protect: readonly string[]): boolean {
  if (changesets.test(key)) return false;
  if (topDotFolder.test(key) || protectedNames.test(key)) return true;
  return protect.some((pattern) => isUnder(key, pattern.toLowerCase()));
}

// A release note that the project's own rules ask of each change; nothing runs it.
const changesets = /^\.changeset\/[^/]+\.md$/;

// The set that GitHub Agentic Workflows protects by default (its reference of safe outputs): any folder at the top whose
// name begins with a dot, who must review, what agents are told, what git and package managers obey.
const topDotFolder = /^\.[^/]+\//;
const protectedNames = under(
  "codeowners|(?:agents|claude|claude\\.local|gemini)\\.md|\\.mcp\\.json|\\.cursorrules|\\.windsurfrules",
  "\\.gitattributes|\\.gitmodules|\\.npmrc|\\.yarnrc[^/]*|\\.pnpmfile\\.[cm]?js|pnpmfile\\.js|bunfig\\.toml",
);

// From the documentation of each service: GitHub, Gitea and Forgejo, GitLab, CircleCI, Travis, AppVeyor, Azure, Jenkins,
// Drone, Woodpecker, Bitbucket, Buildkite, Google and AWS builds, Cirrus, Semaphore, SourceHut, Zuul, Codemagic, Bitrise,
// TeamCity, Packit, pre-commit.
const ciFiles = new RegExp(
  [
    String.raw`^\.(?:github|gitea|forgejo)/(?:workflows|actions)/`,
    String.raw`(?:^|/)\.gitlab-ci[^/]*\.ya?ml$|^\.gitlab/ci/|(?:^|/)salsa-ci\.ya?ml$`,
    String.raw`^\.(?:circleci|buildkite|semaphore|teamcity|azure-pipelines|woodpecker|builds)/|^\.?zuul(?:\.d/|\.ya?ml$)`,
    String.raw`^\.?(?:travis|appveyor|drone|woodpecker|cirrus|build|builds|packit|pre-commit-config)\.(?:ya?ml|star|jsonnet)$`,
    String.raw`(?:^|/)jenkinsfile[^/]*$|(?:^|/)[^/]*\.jenkinsfile$`,
    String.raw`(?:^|/)azure-pipelines[^/]*\.ya?ml$|^(?:bitbucket-pipelines|codemagic|bitrise|wercker)\.ya?ml$`,
    String.raw`(?:^|/)(?:cloudbuild|buildspec)\.(?:ya?ml|json)$`,
  ].join("|"),
);

// What GitHub's linguist takes for vendored or generated, as far as a path tells it.
const generated = new RegExp(
  [
    "(?:^|/)(?:node_modules|bower_components|vendor|third[-_]party|dist)/",
    String.raw`\.min\.(?:js|css)$|\.(?:js|css)\.map$|\.pb\.(?:go|cc|h)$|_pb2(?:_grpc)?\.pyi?$|_pb\.(?:js|d\.ts)$`,
    String.raw`\.(?:g|designer)\.cs$|\.(?:generated|gen)\.[a-z]+$|_generated\.[a-z]+$|\.g\.dart$`,
  ].join("|"),
);

// Jest and Vitest, syrupy, insta, ApprovalTests and Verify, jest-image-snapshot, golden files by habit.
const snapshots = new RegExp(
  [
    String.raw`(?:^|/)(?:__snapshots__|__image_snapshots__|__approvals__)/|\.(?:snap|ambr|golden)$|\.snap\.new$`,
    String.raw`\.(?:approved|verified)\.[a-z0-9]+$|(?:^|/)testdata/(?:[^/]+/)*golden/`,
  ].join("|"),
);

const testConfigs = under(
  // JavaScript; Vite's own configuration carries Vitest's
  String.raw`(?:vitest|vite|jest|karma|playwright|cypress|ava|nyc|wdio|nightwatch|web-test-runner)\.(?:[\w-]+\.)?(?:config|conf|workspace|setup|projects|json)(?:\.\w+)?`,
  String.raw`\.mocharc(?:\.\w+)?|mocha\.opts|\.(?:nyc|c8|tap|testcafe)rc(?:\.\w+)?|jasmine\.(?:json|m?js)|cypress\.json`,
  // Python, Ruby, Rust, Go
  String.raw`\.?pytest\.(?:ini|toml)|tox\.(?:ini|toml)|noxfile\.py|\.coveragerc|\.rspec|\.simplecov|\.?tarpaulin\.toml|nextest\.toml|\.?testcoverage\.ya?ml`,
  // JVM, .NET, PHP
  String.raw`junit-platform\.properties|testng[^/]*\.xml|[^/]*\.runsettings|xunit\.runner\.json|testconfig\.json`,
  String.raw`phpunit[^/]*\.xml(?:\.dist)?|behat\.(?:ya?ml|php)|codeception\.ya?ml|infection\.json5?(?:\.dist)?`,
  // What starts the tests in many projects, and what judges coverage
  String.raw`(?:gnu)?makefile|[^/]*\.mk|ctest[^/]*\.cmake|rakefile|\.?justfile|taskfile\.ya?ml`,
  String.raw`\.?codecov\.ya?ml|\.coveralls\.ya?ml|sonar-project\.properties|\.?octocov\.ya?ml`,
);

const testNames = new RegExp(
  [
    String.raw`^.+\.(?:test|tests|spec|cy|e2e)\.[a-z0-9]+$`,
    String.raw`^(?:.+[-_])?(?:test|tests|spec|unittest)\.(?:[cm]?[jt]sx?|py|go|rb|rs|php|exs|c|cc|cpp|cxx|m|swift|dart|lua|sh|bats)$`,
    String.raw`^test[-_].+\.(?:[cm]?[jt]sx?|py|rb|c|cc|cpp|cxx|lua|sh)$`,
    String.raw`^.+\.(?:t|bats|feature)$`,
  ].join("|"),
);
// With case: "Latest.java" is no test.
const camelNames =
  /^(?:Test[A-Z0-9]\w*|\w+(?:Test|Tests|TestCase|Spec|IT|Should|Steps))\.(?:java|kt|kts|groovy|scala|cs|fs|vb|php|swift|cpp|cc|m|mm)$/;

const testFolders =
  /(?:^|\/)(?:tests?|__tests?__|testdata|__mocks__|__fixtures__|e2e|cypress|androidtest|testfixtures|[^/]+\.(?:unit|integration|functional)?tests?)\/|^t\//;
// What is a manifest or a document elsewhere is data here.
const fixtures = /(?:^|\/)(?:fixtures?|__fixtures__|testdata)\//;
const specFolders = /(?:^|\/)specs?\/.*\.(?:rb|[cm]?[jt]sx?|php|ya?ml|json|feature|lua)$/;

const documents = new RegExp(
  [
    String.raw`(?:^|/)(?:readme|licen[cs]e|copying|notice|changelog|changes|history|news|authors|contributors|contributing|security|support|code_of_conduct|maintainers|todo)(?:[-_][\w-]+)?(?:(?:\.[\w-]+)?\.(?:md|mdx|markdown|txt|rst|adoc|org|html))?$`,
    String.raw`^\.changeset/[^/]+\.md$`,
  ].join("|"),
);
const otherDocuments = new RegExp(
  [
    String.raw`\.(?:md|mdx|markdown|rst|adoc|asciidoc|pod|[1-8])$`,
    String.raw`(?:^|/)(?:docs?|documentation|man)/.*\.(?:txt|html?|css|tex|texi|svg|png|jpe?g|gif|webp|avif|ico|pdf|puml|mmd|drawio)$`,
  ].join("|"),
);

function under(...names: string[]): RegExp {
  return new RegExp(`(?:^|/)(?:${names.join("|")})$`);
}
