import { describe, expect, it } from "vitest";
import { withReporter } from "../../worker/runners.ts";
import type { Reporting } from "../../worker/runners.ts";

const file = "/workspace/report/tests";

/** What a command becomes, where the scripts of package.json are these. */
async function added(run: string, scripts: Record<string, string> = {}, folder = ""): Promise<Reporting> {
  const manifest = JSON.stringify({ scripts });
  return withReporter(run, { file, read: async (path) => (path === `${folder}package.json` ? manifest : undefined) });
}

const node = `export NODE_OPTIONS="\${NODE_OPTIONS:+$NODE_OPTIONS }--test-reporter=spec --test-reporter-destination=stdout --test-reporter=junit --test-reporter-destination=${file}"\n`;
const pytest = `export PYTEST_ADDOPTS="\${PYTEST_ADDOPTS:+$PYTEST_ADDOPTS }--junitxml=${file} -o junit_family=xunit1"\n`;
const vitest = `--reporter=default --reporter=json --outputFile.json=${file}`;
const jest = `--json --outputFile=${file}`;
const mocha = `--reporter=json --reporter-option=output=${file}`;

describe("withReporter", () => {
  it.each([
    ["node --test", `${node}node --test`, "junit"],
    ["node --import tsx --test test/*.js", `${node}node --import tsx --test test/*.js`, "junit"],
    ["vitest run", `vitest ${vitest} run`, "jest"],
    ["npx --yes vitest run src", `npx --yes vitest ${vitest} run src`, "jest"],
    ["pnpm exec vitest -- a.ts", `pnpm exec vitest ${vitest} -- a.ts`, "jest"],
    ["CI=1 cross-env TZ=UTC jest --ci", `CI=1 cross-env TZ=UTC jest ${jest} --ci`, "jest"],
    ["node --no-warnings node_modules/.bin/jest a", `node --no-warnings node_modules/.bin/jest ${jest} a`, "jest"],
    ["node node_modules/jest/bin/jest.js", `node node_modules/jest/bin/jest.js ${jest}`, "jest"],
    ["yarn jest", `yarn jest ${jest}`, "jest"],
    ["c8 --all mocha 'test/**/*.js'", `c8 --all mocha ${mocha} 'test/**/*.js'`, "mocha"],
    ["cd packages/a && mocha", `cd packages/a && mocha ${mocha}`, "mocha"],
    ["ctest --test-dir build", `ctest --output-junit ${file} --test-dir build`, "junit"],
    ["pytest -q", `${pytest}pytest -q`, "junit"],
    ["python3 -m pytest -q", `${pytest}python3 -m pytest -q`, "junit"],
    ["uv run pytest", `${pytest}uv run pytest`, "junit"],
    ["coverage run --branch -m pytest", `${pytest}coverage run --branch -m pytest`, "junit"],
  ])("adds the runner's own flag or variable to %s", async (run, expected, format) => {
    expect(await added(run)).toEqual({ run: expected, format, from: "file" });
  });

  it.each([
    ["tape test/*.js", "tape test/*.js", "tap"],
    ["go test ./...", "go test -json ./...", "go"],
    ["go test -race -run A ./...", "go test -json -race -run A ./...", "go"],
  ])("reads what %s writes itself", async (run, expected, format) => {
    expect(await added(run)).toEqual({ run: expected, format, from: "stdout" });
  });

  it.each([
    ["npm test", { test: "vitest run" }, `npm test -- ${vitest}`],
    ["npm t", { test: "jest" }, `npm t -- ${jest}`],
    ["npm run unit -- --bail", { unit: "jest" }, `npm run unit -- --bail ${jest}`],
    ["npm --silent run unit", { unit: "mocha" }, `npm --silent run unit -- ${mocha}`],
    ["npx pnpm test", { test: "vitest" }, `npx pnpm test ${vitest}`],
    ["yarn run unit", { unit: "jest" }, `yarn run unit ${jest}`],
    ["npm test", { test: "npm run unit", unit: "jest" }, `npm test -- -- ${jest}`],
    ["npm test", { test: "node --test test/*.js" }, `${node}npm test`],
    ["npm test", { test: "npm run unit", unit: "node --test a.js" }, `${node}npm test`],
    ["npm test", { test: "c8 tape test.js" }, "npm test"],
  ])("goes through %s to the scripts %o", async (run, scripts, expected) => {
    expect(await added(run, scripts)).toMatchObject({ run: expected });
  });

  it.each([
    ["npm --prefix packages/a test", `npm --prefix packages/a test -- ${jest}`],
    ["pnpm -C ./packages/a test", `pnpm -C ./packages/a test ${jest}`],
    ["cd packages/a && npm test", `cd packages/a && npm test -- ${jest}`],
  ])("reads the script of the package that %s is about", async (run, expected) => {
    expect(await added(run, { test: "jest" }, "packages/a/")).toMatchObject({ run: expected });
  });

  it.each([
    ["npm run lint && npm test", "it is not one plain command"],
    ["tape test.js | tap-spec", "it is not one plain command"],
    ["jest $ARGS", "it is not one plain command"],
    ["jest\nmocha", "it is not one plain command"],
    ["jest 'a", "it is not one plain command"],
    ["make test", "make test is no runner whose report is known"],
    ["cargo test --offline", "cargo test is no runner whose report is known"],
    ["node test.js", "node test.js is no runner whose report is known"],
    ["node test.js --test", "node test.js is no runner whose report is known"],
    ["NODE_OPTIONS=--no-warnings node --test", "it sets NODE_OPTIONS itself"],
    ["PYTEST_ADDOPTS=-q pytest", "it sets PYTEST_ADDOPTS itself"],
    ["node --test --test-reporter=dot", "it has --test-reporter=dot itself"],
    ["pytest --junitxml=mine.xml", "it has --junitxml=mine.xml itself"],
    ["mocha -R spec", "it has -R itself"],
    ["vitest bench", "it has bench itself"],
    ["npm ci", "npm ci is no runner whose report is known"],
    ["npm test --workspaces", "npm test is no runner whose report is known"],
    ["npm --prefix /etc test", "the script test is not in package.json"],
    ["npm --prefix ../other test", "the script test is not in package.json"],
    ["npm run toString", "the script toString is not in package.json"],
  ])("leaves %s as it is and says why", async (run, why) => {
    expect(await added(run, {})).toEqual({ why });
  });

  it.each([
    [{ test: "tsc && jest" }, "of the script test: it is not one plain command"],
    [{ test: "jest -- src" }, "of the script test: it takes no more flags at its end"],
    [{ test: "go test ./..." }, "of the script test: it takes no more flags at its end"],
    [{ test: "npm run test" }, "its scripts call each other"],
  ])("leaves npm test as it is with the scripts %o", async (scripts, why) => {
    expect(await added("npm test", scripts)).toMatchObject({ why: expect.stringContaining(why) });
  });

  it("bears a package.json that is none", async () => {
    for (const text of ["", "[", "null", '{"scripts": null}', '{"scripts": {"test": 1}}']) {
      expect(await withReporter("npm test", { file, read: async () => text })).toEqual({
        why: "the script test is not in package.json",
      });
    }
  });
});
