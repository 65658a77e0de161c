// A model server in a process of its own, so that what it costs is not counted: it answers the requests of a run with the
// recorded answers, token by token.
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Turn } from "../../support/model-stream.ts";
import { tokensIn } from "./prompt.ts";
import { recordRun } from "./recording.ts";
import { parseSession } from "./session.ts";

const model = { id: "recorded", object: "model", owned_by: "vllm", max_model_len: 262_144 };
const head = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1_770_000_000, model: model.id };
const bytesPerToken = 3.3;
const answers = recordRun(Number(process.argv[2])).flatMap(({ answer }) =>
  "fault" in answer ? [] : [eventsOf(answer)],
);
const runs = new Map<string, { requests: number; bytes: number }>();

const server = createServer((request, response) => {
  const { url = "" } = request;
  const [, run] = url.split("/bytes/");
  if (url === "/v1/chat/completions") answer(request, response).catch(() => response.destroy());
  else if (url === "/v1/models") response.end(JSON.stringify({ object: "list", data: [model] }));
  else if (run !== undefined) response.end(JSON.stringify(runs.get(run)?.bytes));
  else response.writeHead(404).end();
});
server.listen(0, "127.0.0.1", () => {
  process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.once("disconnect", () => process.exit());

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const session = String(request.headers["x-session-id"]);
  const { from, answerMs } = parseSession(session);
  const run = runs.get(session) ?? { requests: 0, bytes: 0 };
  runs.set(session, run);
  const events = answers[from + run.requests++] ?? [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) bytes += chunk.length;
  run.bytes += bytes;
  if (answerMs > 0) await delay(answerMs);
  const prompt = Math.ceil(bytes / bytesPerToken);
  const usage = { prompt_tokens: prompt, completion_tokens: events.length, total_tokens: prompt + events.length };
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.end([...events, event({ choices: [], usage }), "data: [DONE]\n\n"].join(""));
}

function eventsOf({ text = "", calls = [] }: Turn): string[] {
  const deltas: object[] = [
    { role: "assistant", content: "" },
    ...tokensIn(text).map((content) => ({ content })),
    ...calls.flatMap(({ name, arguments: given }, index) => [
      { tool_calls: [{ index, id: `call-${index}`, type: "function", function: { name, arguments: "" } }] },
      ...tokensIn(typeof given === "string" ? given : JSON.stringify(given)).map((piece) => ({
        tool_calls: [{ index, function: { arguments: piece } }],
      })),
    ]),
  ];
  const finish = calls.length > 0 ? "tool_calls" : "stop";
  const choices = [...deltas.map((delta) => choice(delta, null)), choice({}, finish)];
  return choices.map((one) => event({ choices: [one] }));
}

function choice(delta: object, finish: string | null) {
  return { index: 0, delta, logprobs: null, finish_reason: finish };
}

function event(data: object): string {
  return `data: ${JSON.stringify({ ...head, ...data })}\n\n`;
}
