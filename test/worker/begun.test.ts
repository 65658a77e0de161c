import { expect, it } from "vitest";
import type { AttemptTask } from "../../worker/attempt.ts";
import { attemptBegun } from "../../worker/begun.ts";
import { nextMove } from "../../worker/outcome.ts";
import type { Tools } from "../../worker/run.ts";
import { createLocalHost, never } from "./support.ts";

const merging = { head: "1".repeat(40), base: "2".repeat(40), tree: "3".repeat(40), conflicts: [], says: [] };

it.each([
  ["of a merge", { merging }, "merge refused", /yourself, and push/],
  ["of a task", {}, "update failed", /Mend that, or the task/],
])("a change %s that git does not take in ends in words of its own", async (_what, of, cause, next) => {
  using host = createLocalHost({ "a.txt": "a\n" });
  const [base = ""] = host.commits;
  const task = { ...of, repository: host.mirror, base, signal: never } as unknown as AttemptTask;
  const changes = [{ path: ".git/config", mode: "100644" as const, bytes: Buffer.from("") }];

  const result = await attemptBegun(task, {} as Tools, { kind: "change", change: { changes } });

  expect(result).toMatchObject({ ok: false, outcome: { cause, detail: expect.stringContaining("git can't take it") } });
  expect(result.ok ? "" : nextMove(result.outcome.cause)).toMatch(next);
});
