import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Engine } from "../../sandbox/engine.ts";
import { readRegistries, registryQuestion } from "../../worker/registries.ts";
import { image, limits, testEngine } from "../sandbox/support.ts";
import { dataFolder } from "../worker/support.ts";
import { expectNothingLeft } from "./support/local.ts";

let engine: Engine;
beforeEach(() => {
  engine = testEngine();
});
afterEach(async () => {
  await expectNothingLeft(engine);
});

/** What a command says in the default image, in a folder with these files, without network. */
async function run(command: string[], files: Record<string, string> = {}, env: Record<string, string> = {}) {
  using folder = dataFolder();
  chmodSync(folder.path, 0o755);
  for (const [path, text] of Object.entries(files)) writeFileSync(join(folder.path, path), text);
  const cwd = "/workspace/repo";
  const result = await engine.runOnce({
    image,
    command,
    labels: { run: "run-1", role: "registries" },
    mounts: [{ hostDir: folder.path, at: cwd, readOnly: true }],
    cwd,
    env,
    limits,
    timeoutMs: 120_000,
    maxStdoutBytes: 64_000,
  });
  expect(result).toMatchObject({ end: "exited", code: 0 });
  return result.stdout.toString();
}

const manifests = [{ path: "package.json" }, { path: "requirements.txt" }, { path: "go.mod" }];
const read = (answer: string) => readRegistries(answer, { files: [], manifests });

describe("the question for registries, in the default image", () => {
  it("finds the defaults of npm and pip, and names the package manager that the image lacks", async () => {
    const npm = new URL((await run(["npm", "config", "get", "registry"])).trim()).host;

    const { hosts, notes } = read(await run(registryQuestion()));

    expect(hosts).toContain(npm);
    expect(hosts.length).toBeGreaterThan(1);
    expect(notes).toEqual([expect.stringMatching(/^Go could not be asked/)]);
  });

  it("finds what a repository and the environment set instead, and shows no token", async () => {
    const answer = await run(
      registryQuestion(),
      {
        "package.json": "{}",
        ".npmrc":
          "registry=https://u:s3cret@npm.example/x/\n@a:registry=https://a.example:8443/\n//a.example:8443/:_authToken=s3cret\n",
      },
      { PIP_INDEX_URL: "https://u:s3cret@pip.example/simple", PIP_EXTRA_INDEX_URL: "https://more.example/s3cret" },
    );

    expect(read(answer).hosts).toEqual(["a.example:8443", "more.example", "npm.example", "pip.example"]);
    expect(answer).not.toContain("s3cret");
  });
});
