import { afterAll, beforeAll, expect, test } from "vitest";
import type { Script } from "../../src/demo/model/script.ts";
import { addProject, pullsOf, startTestLaptop } from "./support/laptop.ts";
import type { TestLaptop } from "./support/laptop.ts";

// Packages of the registry that this machine's npm is configured with.
const saturday = new Date("2026-11-21T12:00:00Z");
const monday = new Date("2026-11-23T05:00:00Z");

type Step = Omit<Script["steps"][number], "id">;
const bash = (command: string): Step => ({ say: "", calls: [{ name: "bash", arguments: { command } }] });
const submit: Step = {
  say: "",
  calls: [{ name: "submit", arguments: { title: "Expect KB", cause: "bytes 3 writes KB.", change: "- KB, not kB" } }],
};
const mended: Script = {
  name: "bytes-3",
  when: 'it updated `bytes` from `2.5.0` to [^]*changelog of bytes[^]*Change "kB" to "KB"',
  holes: {},
  steps: [bash("sed -i 's/1kB/1KB/' size.js && npm test"), submit, submit].map((step, id) => ({
    id: String(id),
    ...step,
  })),
};

const clock = { now: saturday };
let laptop: TestLaptop;
beforeAll(async () => {
  laptop = await startTestLaptop({ scripts: [mended], now: () => clock.now });
});
afterAll(() => laptop[Symbol.asyncDispose]());

/** A project that pins `bytes` at a version, with one test of the text for a size. */
function project(version: string, files: Record<string, string>): Record<string, string> {
  const own = { name: "it", version: "1.0.0", scripts: { test: "node --test" }, dependencies: { bytes: version } };
  const packages = { "": own, "node_modules/bytes": { version } };
  return {
    ".gitignore": "node_modules\n",
    ".github/agent-fix.yml": 'maintenance:\n  weekly: {use: dependencies, schedule: "0 5 * * 1"}\n',
    "package.json": `${JSON.stringify(own, null, 2)}\n`,
    "package-lock.json": `${JSON.stringify({ name: "it", version: "1.0.0", lockfileVersion: 3, requires: true, packages }, null, 2)}\n`,
    "size.test.js": [
      'const test = require("node:test"), assert = require("node:assert"), { isOne } = require("./size.js");',
      'test("knows a kilobyte", () => assert.ok(isOne(1024)));',
      "",
    ].join("\n"),
    ...files,
  };
}

async function pullOfTask(name: string, files: Record<string, string>) {
  clock.now = saturday;
  const where = await addProject(laptop, name, files);
  await laptop.web.sweep();
  clock.now = monday;
  await laptop.web.sweep();
  await expect.poll(async () => pullsOf(laptop, where), { timeout: 240_000, interval: 500 }).toHaveLength(1);
  const [pull] = await pullsOf(laptop, where);
  const ref = pull?.head.sha ?? "";
  const read = async (path: string) => {
    const { data } = await laptop.as("ann").rest.repos.getContent({ ...where, path, ref });
    return Buffer.from("content" in data ? data.content : "", "base64").toString();
  };
  return { pull, read };
}

test("a pinned old version becomes a pull request without a model, with what its package says of the versions in between", async () => {
  const asked = laptop.model?.requests.length ?? 0;
  const { pull, read } = await pullOfTask(
    "pinned",
    project("3.0.0", { "size.js": 'exports.isOne = (n) => require("bytes")(n) === "1KB";\n' }),
  );

  expect(pull).toMatchObject({ title: "Update bytes to 3.1.2", draft: false, head: { ref: "agent-fix/task/weekly" } });
  expect(JSON.parse(await read("package.json"))).toMatchObject({ dependencies: { bytes: "3.1.2" } });
  expect(JSON.parse(await read("package-lock.json")).packages["node_modules/bytes"].version).toBe("3.1.2");
  expect(pull?.body).toContain("| `bytes` | `3.0.0` | `3.1.2` |");
  expect(pull?.body).toMatch(/3\.1\.0 \/ 2019-01-22[^]*petabyte/);
  expect(pull?.body).toContain("model: none was asked");
  expect(laptop.model?.requests.length ?? 0).toBe(asked);
});

test("a major version that breaks the project comes with the code that the model mended", async () => {
  const { pull, read } = await pullOfTask(
    "breaking",
    project("2.5.0", { "size.js": 'exports.isOne = (n) => require("bytes")(n) === "1kB";\n' }),
  );

  expect(pull).toMatchObject({ title: "Update bytes to 3.1.2", draft: false });
  expect(await read("size.js")).toContain("1KB");
  expect(JSON.parse(await read("package.json"))).toMatchObject({ dependencies: { bytes: "3.1.2" } });
  expect(pull?.body).toContain("| `bytes` | `2.5.0` | `3.1.2` |");
  expect(pull?.body).toContain("- KB, not kB");
});
