import { runAgent } from "../../worker/agent/loop.ts";
import { createModelClient } from "../../worker/agent/openai.ts";
import type { ChatBody } from "../support/model-server.ts";
import { startModelServer } from "../support/model-server.ts";
import { createBlockCache } from "./agent/blocks.ts";
import { renderAnswer, renderRequest, tokensIn } from "./agent/prompt.ts";
import { recordRun, recordedInbox, recordedTools, taskMessages } from "./agent/recording.ts";
import type { Bench, RowSpec } from "./harness.ts";

const sizes = [528, 1024, 2096];
const steps = 150;
const windows = [262_144, 32_768] as const;

/** How much of what a run sends is found in a server's prefix cache, beside one that does nothing but append. */
export async function cache(): Promise<Bench[]> {
  const benches: Bench[] = [];
  for (const contextTokens of windows) {
    const { shares, compactions } = await replay(contextTokens);
    const contenders = Object.entries(shares).map(([name, share]) => [name, async () => share] as const);
    const what = `window ${contextTokens}, ${compactions} compactions`;
    const rows = sizes.map(
      (size): RowSpec => ({
        measure: `cached, ${what}, blocks of ${size}`,
        unit: "%",
        value: `${size}`,
        beside: `${size}, only appended`,
        more: true,
        ...(contextTokens === windows[0] && { goal: { atLeast: 0.98 } }),
      }),
    );
    benches.push({ rounds: 1, contenders: Object.fromEntries(contenders), rows });
  }
  return benches;
}

/** The recorded run once more, through the client and the loop. */
async function replay(contextTokens: number) {
  const recording = recordRun(steps);
  const caches = sizes.map((size) => ({ size, cache: createBlockCache(size), found: 0, appended: 0 }));
  const lengths: number[] = [];
  let next = 0;
  let compactions = 0;

  function read(body: ChatBody, written: string): void {
    const prompt = renderRequest(body);
    const tokens = tokensIn(prompt);
    lengths.push(tokens.length);
    for (const one of caches) {
      const { found, appended } = one.cache.ask(tokens);
      one.found += found;
      one.appended += appended;
      one.cache.keep(tokensIn(`${prompt}${written}`));
    }
  }

  await using server = await startModelServer({
    dialect: "vllm",
    contextTokens,
    turns: ({ body }) => {
      const isSummary = String(body.messages.at(-1)?.["content"]).startsWith("This conversation gets too long");
      const answer = isSummary ? { text: summary } : recording[next++]?.answer;
      if (answer === undefined || "fault" in answer) return { fault: { kind: "status", status: 500 } };
      read(body, renderAnswer(answer.text ?? "", answer.calls ?? []));
      return { ...answer, usage: { prompt_tokens: lengths.at(-1) ?? 0 } };
    },
  });
  const end = await runAgent({
    model: createModelClient({ baseUrl: server.url, apiKey: "EMPTY", delay: async () => {} }),
    tools: recordedTools(recording, contextTokens),
    messages: taskMessages(contextTokens),
    limits: { steps: 2 * steps, tokens: 1e9, minutes: 1e9 },
    signal: new AbortController().signal,
    record: async (event) => void (event.type === "compacted" && compactions++),
    inbox: recordedInbox(recording),
  });
  if (end.end !== "submitted") throw new Error(`The recorded run ended with ${JSON.stringify(end)}`);

  const prompts = lengths.reduce((sum, length) => sum + length, 0);
  const share = (tokens: number) => (100 * tokens) / prompts;
  const shares = Object.fromEntries(
    caches.flatMap(({ size, found, appended }) => [
      [`${size}`, share(found)],
      [`${size}, only appended`, share(appended)],
    ]),
  );
  return { shares, compactions };
}

const summary = `What was found and done so far. ${"The title is split at single blanks in src/title-3.ts, and its test was added. ".repeat(20)}`;
