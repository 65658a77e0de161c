import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";
import { openRunLog, readRun } from "../../../src/runlog.ts";
import { runAgent } from "../../../worker/agent/loop.ts";
import type { Message } from "../../../worker/agent/model.ts";
import { createModelClient } from "../../../worker/agent/openai.ts";
import { createTool } from "../../../worker/agent/tool.ts";
import { startModelServer } from "../../support/model-server.ts";

const bash = createTool({
  name: "bash",
  description: "Runs a command.",
  parameters: z.object({ command: z.string().min(1, "it is empty"), timeout_seconds: z.int().optional() }),
  call: async ({ command }) => ({ text: `ran ${command}` }),
});
const ask = createTool({
  name: "ask",
  description: "Asks.",
  parameters: z.object({ question: z.string() }),
  call: async ({ question }) => ({ text: "Asked.", end: { end: "asked", questions: [{ question, fallback: "" }] } }),
});
const leaked = "I look.\n\n<function=bash>\n<parameter=command>\nls\n</parameter>\n</function>\n</tool_call>";

test("calls that were recovered, repaired and refused are counted in the run log, and the history holds none of their markup", async () => {
  await using server = await startModelServer({
    dialect: "vllm",
    turns: [
      { text: leaked },
      { calls: [{ name: "shell", arguments: '{"cmd": "ls", "timeout_seconds": "5", "mood": "good"}', id: "b" }] },
      { calls: [{ name: "bash", arguments: "{}", id: "c" }] },
      { calls: [{ name: "bash", arguments: '{"command": "rm -r', id: "d" }] },
      { calls: [{ name: "ask", arguments: '{"question": "Which?"}', id: "e" }] },
    ],
  });
  const folder = mkdtempSync(join(tmpdir(), "repairs-"));
  using _folder = { [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
  const log = openRunLog(folder, "run");
  const messages: Message[] = [{ role: "user", text: "Look." }];

  const end = await runAgent({
    model: createModelClient({ baseUrl: server.url, apiKey: "EMPTY" }),
    tools: [bash, ask],
    messages,
    limits: { steps: 9, tokens: 1_000_000, minutes: 1 },
    signal: new AbortController().signal,
    record: (event) => log.append(event),
  });
  log.close();

  const events = readRun(folder, "run") ?? [];
  const results = events.flatMap((event) => (event.type === "tool.result" ? [event] : []));
  expect(end).toMatchObject({ end: "asked" });
  expect(events.flatMap((event) => (event.type === "model.result" ? [event.recovered] : []))).toEqual([1, 0, 0, 0, 0]);
  const turn = events.find((event) => event.type === "model.result");
  expect(turn).toMatchObject({ finish: expect.any(String), turn: { server: "vllm", attempts: 1 } });
  expect(turn?.turn?.requestId).toBe(server.requests[0]?.headers["x-request-id"]);
  expect(results.map(({ repaired }) => repaired)).toEqual([
    undefined,
    ["aliased shell", "aliased cmd", "coerced timeout_seconds", "dropped mood"],
    undefined,
    undefined,
    undefined,
  ]);
  expect(results.map(({ refused }) => refused)).toEqual([undefined, undefined, "wrong-arguments", "cut", undefined]);
  expect(server.requests.at(-1)?.body.messages.filter(({ role }) => role === "assistant")).toMatchObject([
    { content: "I look.", tool_calls: [{ function: { name: "bash", arguments: '{"command":"ls"}' } }] },
    { tool_calls: [{ function: { name: "shell" } }] },
    { tool_calls: [{ function: { name: "bash", arguments: "{}" } }] },
    { tool_calls: [{ function: { name: "bash", arguments: "{}" } }] },
  ]);
});
