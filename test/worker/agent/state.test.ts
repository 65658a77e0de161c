import { expect, it, onTestFinished, vi } from "vitest";
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

it("tells once in an hour of requests that nothing changed", async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-11-23T05:00:00Z") });
  onTestFinished(() => void vi.useRealTimers());
  const model: ModelClient = { describe: async () => ({ name: "qwen", contextTokens: 1 }), reply: async () => answer };
  const states: ModelState[] = [];
  const watched = withState(model, (state) => states.push(state));
  await watched.describe(never);

  for (const time of ["05:30", "06:10", "06:40"]) {
    vi.setSystemTime(new Date(`2026-11-23T${time}:00Z`));
    await watched.reply({ messages: [], tools: [], signal: never });
  }

  const since = "2026-11-23T05:00:00.000Z";
  expect(states).toEqual([
    { name: "qwen", since, asked: since },
    { name: "qwen", since, asked: "2026-11-23T06:10:00.000Z" },
  ]);
});

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
