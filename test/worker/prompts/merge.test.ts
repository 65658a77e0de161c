import { expect, it } from "vitest";
import { mergeMessages } from "../../../worker/prompts/merge.ts";
import type { MergeTask } from "../../../worker/prompts/merge.ts";

const conflict: MergeTask = {
  repo: "o/r",
  root: "/workspace/repo",
  checks: [{ name: "npm test", run: "npm test", required: true }],
  baseline: undefined,
  hosts: [],
  instructions: [],
  nonce: "5f0c",
  contextTokens: 262_144,
  title: "Mend it",
  diff: "+ours",
  merging: { head: "aaa1", base: "bbb2", says: ["CONFLICT (content): Merge conflict in a.txt"] },
  theirs: "+theirs",
  failed: undefined,
};
const textOf = (task: MergeTask) => mergeMessages(task)[1]?.text ?? "";

it("the model is told what conflicts in git's words, whose side is which, and what the base did there", () => {
  const text = textOf(conflict);

  expect(text).toContain("where aaa1 is the pull request and bbb2 the base");
  expect(text).toContain("[BEGIN conflicts 5f0c]\nCONFLICT (content): Merge conflict in a.txt\n[END conflicts 5f0c]");
  expect(text).toContain("[BEGIN what the base did to those files 5f0c]\n+theirs\n");
});

it("of a merge without conflicts the model is told why it does not pass", () => {
  const failed = { reason: "npm test fails", output: "1 failing" };
  const merging = { ...conflict.merging, says: [] };

  const text = textOf({ ...conflict, merging, theirs: "", failed });

  expect(text).toContain("without a conflict, but the result does not pass: npm test fails.");
  expect(text).toContain("[BEGIN output 5f0c]\n1 failing\n[END output 5f0c]");
  expect(text).not.toContain("what the base did");
});
