import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { composeTools } from "../../src/cli/compose.ts";
import type { Exchange } from "../../src/demo/github/exchange.ts";
import { mirrorPath } from "../../worker/checkout.ts";
import { createContract, expectNoViolations } from "../support/contract.ts";
import { addProject, answerScripts, finalStatus, startTestLaptop } from "./support/laptop.ts";
import type { TestLaptop } from "./support/laptop.ts";

const contract = createContract();
const calls: Exchange[] = [];
const onExchange = (exchange: Exchange) => {
  calls.push(exchange);
  contract.onExchange(exchange);
};
const patiently = { timeout: 60_000, interval: 50 };

let laptop: TestLaptop;
beforeAll(async () => {
  laptop = await startTestLaptop({ scripts: answerScripts, github: { ...contract, onExchange } });
});
afterAll(async () => {
  await laptop[Symbol.asyncDispose]();
  expectNoViolations(contract);
});

const mirrorOf = (name: string) =>
  mirrorPath(laptop.dataDir, String(laptop.github.state.repositories.get(`ann/${name}`)?.id));

function commitIn(mirror: string): string | undefined {
  if (!existsSync(mirror)) return undefined;
  const args = ["--git-dir", mirror, "for-each-ref", "--format=%(objectname)", "refs/heads/main"];
  return execFileSync("git", args, { encoding: "utf8" }).trim();
}

/** Everything that a mirror holds, loose or packed. */
function objectsIn(mirror: string): string[] {
  return readdirSync(join(mirror, "objects"), { recursive: true }).map(String).toSorted();
}

/** The commits whose trees are kept, of all repositories. */
async function basesKept(): Promise<number> {
  const { engine } = await composeTools(laptop.parts.config);
  return (await engine.listKept()).filter((one) => one.kept === "base").length;
}

async function keptAt(name: string, commit: string): Promise<boolean> {
  const { kept } = await composeTools(laptop.parts.config);
  return (await kept.nearestBase(mirrorOf(name), commit))?.commit === commit;
}

const mints = () => calls.filter(({ path }) => path.endsWith("/access_tokens"));

test("a new issue and then a push are in the mirror and in a base tree before any label, and the run makes neither", async () => {
  const where = await addProject(laptop, "ahead");
  const octokit = laptop.as("ann");
  const { data: issue } = await octokit.rest.issues.create({ ...where, title: "The answer is wrong" });
  await expect.poll(() => commitIn(mirrorOf("ahead")), patiently).toMatch(/^[\da-f]{40}$/);
  const readme = { "README.md": "# the answer\n" };
  const pushed = await laptop.github.push("ann/ahead", readme, { branch: "main", message: "Say more", author: "ann" });
  await expect.poll(() => commitIn(mirrorOf("ahead")), patiently).toBe(pushed);
  await expect.poll(() => keptAt("ahead", pushed), patiently).toBe(true);
  const before = { objects: objectsIn(mirrorOf("ahead")), bases: await basesKept() };

  await octokit.rest.issues.addLabels({ ...where, issue_number: issue.number, labels: ["agent-fix"] });
  const { marker } = await finalStatus(laptop, where, issue.number);

  expect(marker.state).toBe("opened");
  expect(objectsIn(mirrorOf("ahead"))).toEqual(before.objects);
  expect(await basesKept()).toBe(before.bases);
});

test("a fetch ahead has a token that reads this repository alone, and that is good no longer after it", async () => {
  const where = await addProject(laptop, "read-only", undefined, { private: true });
  const { id } = laptop.github.state.repositories.get("ann/read-only") ?? {};
  const former = mints().length;

  await laptop.as("ann").rest.issues.create({ ...where, title: "Read me" });
  await expect.poll(() => commitIn(mirrorOf("read-only")), patiently).toMatch(/^[\da-f]{40}$/);

  const minted = mints().slice(former);
  expect(minted.map(({ body }) => body)).toEqual([
    { repository_ids: [id], permissions: { contents: "read", metadata: "read" } },
  ]);
  const reading = () =>
    [...laptop.github.state.installationTokens.values()].filter(
      ({ permissions: { contents, issues } }) => contents === "read" && issues === undefined,
    );
  await expect.poll(reading, patiently).toEqual([]);
});

test("many pushes at once cost few fetches, and the last of them is in the mirror", async () => {
  const where = await addProject(laptop, "busy");
  await laptop.as("ann").rest.issues.create({ ...where, title: "Busy" });
  await expect.poll(() => commitIn(mirrorOf("busy")), patiently).toMatch(/^[\da-f]{40}$/);
  const change = { branch: "main", message: "Last", author: "ann" };
  const last = await laptop.github.push("ann/busy", { "README.md": "# new\n" }, change);
  const push = laptop.github.state.deliveries.find((one) => one.event === "push");
  if (push === undefined) throw new Error("no push was told of");
  const { webhookUrl = "" } = laptop.github.state;
  const former = mints().length;

  const deliver = () => fetch(webhookUrl, { method: "POST", headers: push.headers, body: push.payload });
  const answers = await Promise.all(Array.from({ length: 200 }, deliver));

  await expect.poll(() => commitIn(mirrorOf("busy")), patiently).toBe(last);
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  await expect.poll(() => keptAt("busy", last), patiently).toBe(true);
  expect(mints().length - former).toBeLessThan(answers.length / 2);
});
