import { expect, test } from "vitest";
import { answerFor, readScripts } from "../../src/demo/model/script.ts";
import type { Script } from "../../src/demo/model/script.ts";
import { startModel } from "../../src/demo/model/model.ts";

const script: Script = {
  name: "two-steps",
  when: "Task: count",
  holes: { root: "in `([^`]+)`" },
  steps: [
    { id: "look", say: "I look.", calls: [{ name: "bash", arguments: { command: "ls {{root}}" } }] },
    {
      id: "count",
      after: "3 files",
      say: "Counted.",
      calls: [],
      else: { say: "Once more.", calls: [{ name: "bash", arguments: { command: "ls -a" } }] },
    },
    { id: "end", after: "thanks", say: "Bye.", calls: [] },
  ],
};
const task = { role: "user", text: "Task: count in `/r`" };
const look = { role: "assistant", text: "I look." };

test("the position in a script follows from the messages alone", () => {
  const begun = answerFor([script], [task]);
  const heard = answerFor([script], [task, look, { role: "tool", text: "3 files" }]);
  const begunAnew = answerFor([script], [task]);

  expect(begun).toEqual({
    kind: "turn",
    turn: 0,
    say: "I look.",
    calls: [{ name: "bash", arguments: '{"command":"ls /r"}' }],
  });
  expect(heard).toMatchObject({ kind: "turn", turn: 1, say: "Counted." });
  expect(begunAnew).toEqual(begun);
});

test("a step whose guard does not match waits where the script gives it another answer", () => {
  const wait = [task, look, { role: "tool", text: "nothing" }];
  const more = { role: "assistant", text: "Once more." };

  expect(answerFor([script], wait)).toMatchObject({ say: "Once more." });
  expect(answerFor([script], [...wait, more, { role: "tool", text: "3 files" }])).toMatchObject({ say: "Counted." });
});

test("what no script expects is named with the step and with what was heard", () => {
  const counted = [task, look, { role: "tool", text: "3 files" }, { role: "assistant", text: "Counted." }];

  expect(answerFor([script], [{ role: "user", text: "Other" }])).toMatchObject({
    kind: "off-script",
    message: expect.stringContaining("no script is for this task: Other"),
  });
  expect(answerFor([script], [...counted, { role: "user", text: "no" }])).toMatchObject({
    message: expect.stringContaining("step end waits for /thanks/, but heard: no"),
  });
  const over = [...counted, { role: "user", text: "thanks" }, { role: "assistant", text: "Bye." }];
  expect(answerFor([script], over)).toMatchObject({ message: expect.stringContaining("over after 3 steps") });
});

test("the conversations of the demo are valid scripts", () => {
  expect(readScripts().map(({ name }) => name)).toEqual(
    expect.arrayContaining(["demo-issue", "demo-maintenance", "demo-review"]),
  );
});

test("the model lists what it serves as vLLM does", async () => {
  await using model = await startModel({ scripts: [], contextTokens: 32_768 });

  const list = await (await fetch(`${model.url}/models`)).json();

  expect(list).toMatchObject({
    object: "list",
    data: [{ id: "Qwen/Qwen3-Coder-Next", max_model_len: 32_768, owned_by: "vllm" }],
  });
});

test("usage counts the tokens that a request shares with the one before it as cached", async () => {
  await using model = await startModel({ scripts: [script] });
  const messages = [{ role: "user", content: task.text }];
  const next = [
    ...messages,
    { role: "assistant", content: "I look." },
    { role: "tool", tool_call_id: "x", content: "3 files" },
  ];

  const first = await usageOf(model.url, messages);
  const second = await usageOf(model.url, next);

  expect(first.prompt_tokens_details.cached_tokens).toBe(0);
  expect(second.prompt_tokens_details.cached_tokens).toBe(first.prompt_tokens);
  expect(second.prompt_tokens).toBeGreaterThan(first.prompt_tokens);
});

test("errors have vLLM's body: another model, a request that is too long, and one that no script expects", async () => {
  const unexpected: string[] = [];
  const scripts = [script];
  await using model = await startModel({ scripts, contextTokens: 1000, onOffScript: (text) => unexpected.push(text) });
  const messages = [{ role: "user", content: "Other" }];

  const wrong = await post(model.url, { model: "gpt", messages });
  const long = await post(model.url, { model: model.name, messages, max_tokens: 1000 });
  const lost = await post(model.url, { model: model.name, messages });

  expect(wrong.status).toBe(404);
  expect(await wrong.json()).toEqual({
    error: { message: "The model `gpt` does not exist.", type: "NotFoundError", param: null, code: 404 },
  });
  expect(await long.json()).toMatchObject({
    error: { code: 400, message: expect.stringContaining("maximum context length is 1000 tokens") },
  });
  expect(lost.status).toBe(400);
  expect(unexpected).toHaveLength(1);
});

test("a failure can be ordered for the next request", async () => {
  await using model = await startModel({ scripts: [script] });
  const messages = [{ role: "user", content: task.text }];
  model.failNext(503, "Loading model");

  const failed = await post(model.url, { model: model.name, messages });
  const answered = await post(model.url, { model: model.name, messages });

  expect([failed.status, answered.status]).toEqual([503, 200]);
  expect(model.requests).toHaveLength(2);
});

async function post(url: string, body: object): Promise<Response> {
  return fetch(`${url}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

async function usageOf(url: string, messages: object[]) {
  const body = { model: "Qwen/Qwen3-Coder-Next", messages, stream: true, stream_options: { include_usage: true } };
  const events = (await (await post(url, body)).text()).split("\n\n").filter((event) => event.startsWith("data: {"));
  const last = JSON.parse((events.at(-1) ?? "").slice("data: ".length)) as {
    usage: { prompt_tokens: number; prompt_tokens_details: { cached_tokens: number } };
  };
  return last.usage;
}
