import { expect, it } from "vitest";
import type { ModelState } from "../../../src/model-state.ts";
import type { ModelClient, Reply } from "../../../worker/agent/model.ts";
import { withState } from "../../../worker/agent/state.ts";
import { never } from "../support.ts";

const answer: Reply = {
  text: "",
  calls: [],
  usage: { promptTokens: 1, completionTokens: 1, cachedTokens: 0 },
  truncated: false,
  waitedMs: 0,
  finish: "stop",
  recovered: 0,
};

it("tells of each change once: that it answers, that it is waited for, and that it answers again", async () => {
  const waits: (string | undefined)[][] = [[], ["its server is away", "its server is away", undefined], []];
  const model: ModelClient = {
    describe: async () => ({ name: "qwen", contextTokens: 1 }),
    async reply({ onWaiting }) {
      for (const reason of waits.shift() ?? []) onWaiting?.(reason);
      return answer;
    },
  };
  const states: ModelState[] = [];
  const heard: (string | undefined)[] = [];
  const watched = withState(model, (state) => states.push(state));

  await watched.describe(never);
  for (let i = 0; i < 3; i++)
    await watched.reply({ messages: [], tools: [], signal: never, onWaiting: (reason) => heard.push(reason) });

  expect(states.map(({ name, waitsFor }) => [name, waitsFor])).toEqual([
    ["qwen", undefined],
    ["qwen", "its server is away"],
    ["qwen", undefined],
  ]);
  expect(heard).toEqual(["its server is away", "its server is away", undefined]);
});
