import { existsSync, mkdirSync, readFileSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Owned } from "../../sandbox/engine.ts";
import { tidy } from "../../worker/tidy.ts";
import { createLocalDeps, createLocalHost } from "./support.ts";
import type { LocalDeps, LocalHost } from "./support.ts";

let host: LocalHost;
let deps: LocalDeps;
beforeEach(async () => {
  host = createLocalHost();
  deps = await createLocalDeps(host.forge);
});
afterEach(async () => {
  await deps[Symbol.asyncDispose]();
  host[Symbol.dispose]();
});

const created = new Date();

/** A run's folder with a token that its worker left behind. */
function leave(runId: string): string {
  const dir = join(deps.dataDir, "runs", runId);
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, "tokens"), `token-${runId}\n`);
  return join(dir, "tokens");
}

/** The engine's list and removals alone; everything else of it is away. */
function listing(...owned: Owned[]) {
  const removed: string[] = [];
  const remove = async (id: string) => void removed.push(id);
  return { removed, engine: { ...deps.engine, list: async () => owned, remove, removeVolume: remove } };
}

describe("tidy", () => {
  it("revokes the tokens and removes the containers and volumes of dead runs, and leaves those of live ones", async () => {
    const [dead, alive] = [leave("dead"), leave("alive")];
    deps.live.add("alive").add("elsewhere");
    const { engine, removed } = listing(
      { kind: "volume", id: "v-dead", run: "dead", role: "workspace", created },
      { kind: "container", id: "c-dead", run: "dead", role: "agent", created },
      { kind: "container", id: "c-alive", run: "alive", role: "agent", created },
      { kind: "container", id: "c-elsewhere", run: "elsewhere", role: "agent", created },
      { kind: "container", id: "c-unknown", run: "unknown", role: "agent", created },
      { kind: "container", id: "c-chore", run: "~base", role: "workspace", created },
      { kind: "container", id: "c-old-chore", run: "~base", role: "workspace", created: new Date(0) },
    );

    await tidy({ ...deps, engine });

    expect(removed.toSorted()).toEqual(["c-dead", "c-old-chore", "c-unknown", "v-dead"]);
    expect(deps.host.revoked).toEqual(["token-dead"]);
    expect([existsSync(dead), existsSync(alive)]).toEqual([false, true]);
  });

  it("leaves what a run begins while it looks", async () => {
    const dead: Owned = { kind: "container", id: "c-dead", run: "dead", role: "agent", created };
    const begun: Owned = { kind: "container", id: "c-begun", run: "begun", role: "agent", created };
    const { engine, removed } = listing();
    const lists = [[dead], [dead, begun]];

    await tidy({ ...deps, engine: { ...engine, list: async () => lists.shift() ?? [] } });

    expect(removed).toEqual(["c-dead"]);
  });

  it("touches nothing when the queue can't say what is live", async () => {
    const token = leave("perhaps");
    const { engine, removed } = listing({ kind: "container", id: "c", run: "perhaps", role: "agent", created });

    await tidy({ ...deps, engine, isLive: () => Promise.reject(new Error("Redis is away")) });

    expect(removed).toEqual([]);
    expect(existsSync(token)).toBe(true);
  });

  it("deletes what was last written to more than thirty days ago, and nothing that is live", async () => {
    const old = new Date(Date.now() - 31 * 24 * 3600_000);
    for (const runId of ["old", "old-and-live", "young"]) {
      const log = join(leave(runId), "..", "log.jsonl");
      writeFileSync(log, "");
      if (runId !== "young") utimesSync(log, old, old);
    }
    deps.live.add("old-and-live");

    await tidy({ ...deps, engine: listing().engine });

    expect(readdirSync(join(deps.dataDir, "runs")).toSorted()).toEqual(["old-and-live", "young"]);
  });

  it("drops what the ledgers of flaky tests have of more than thirty days ago", async () => {
    const lines = [31, 1].map((days) => {
      const at = new Date(Date.now() - days * 24 * 3600_000).toISOString();
      return JSON.stringify({
        at,
        saw: "flaky",
        run: "run-1",
        leg: "base",
        commit: "c",
        check: `seen ${days} days ago`,
      });
    });
    mkdirSync(join(deps.dataDir, "flaky"));
    const path = join(deps.dataDir, "flaky", "7.jsonl");
    writeFileSync(path, lines.map((line) => `\n${line}`).join(""));

    await tidy({ ...deps, engine: listing().engine });

    expect(readFileSync(path, "utf8")).toBe(`\n${lines[1]}`);
  });

  it("goes on with the next run when one token can't be revoked", async () => {
    const files = [leave("a"), leave("b")];
    deps.host.unrevokable.add("token-a");

    await tidy({ ...deps, engine: listing().engine });

    expect(files.map((file) => existsSync(file))).toEqual([true, false]);
  });

  it("revokes dead runs' tokens also while the engine is away", async () => {
    const file = leave("dead");

    await tidy(deps);

    expect(existsSync(file)).toBe(false);
  });
});
