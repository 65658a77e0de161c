import { expect, test } from "vitest";
import { dialects } from "./model-dialects.ts";
import type { DialectName } from "./model-dialects.ts";
import { startModelServer } from "./model-server.ts";
import type { ModelServer } from "./model-server.ts";

const names = Object.keys(dialects) as DialectName[];
const edit = { name: "edit", arguments: { path: "a.ts", text: 'say "hi"\n\tand <b>\\n</b> ü 🦊\n'.repeat(30), n: 3 } };

test.each(names)("%s streams text and calls that can be put together again", async (dialect) => {
  await using server = await startModelServer({ dialect, turns: [{ text: "I look. ü🦊", calls: [edit, edit] }] });

  const chunks = chunksOf(await (await ask(server)).text());

  const deltas = chunks.flatMap((chunk) => chunk.choices.map(({ delta }) => delta));
  expect(deltas.map(({ content }) => content ?? "").join("")).toBe("I look. ü🦊");
  const pieces = deltas.flatMap(({ tool_calls: calls }) => calls ?? []);
  for (const index of [0, 1]) {
    const text = pieces
      .filter((piece) => piece.index === index)
      .map((piece) => piece.function.arguments)
      .join("");
    expect(JSON.parse(text)).toEqual(edit.arguments);
  }
  expect(new Set(pieces.flatMap(({ id }) => id ?? [])).size).toBe(2);
  expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: expect.any(Number) } });
});

test("Ollama's parser rewrites what looks like a tag with a value, and the others leave it", async () => {
  const turns = [{ calls: [{ name: "edit", arguments: { text: "class A<T=string> {}" } }] }];
  await using ollama = await startModelServer({ dialect: "ollama", turns });
  await using vllm = await startModelServer({ dialect: "vllm", turns });

  expect(await (await ask(ollama)).text()).toContain("class A<T name=");
  expect(await (await ask(vllm)).text()).not.toContain("name=");
});

test("only some servers tell how long a conversation may be, each in its place", async () => {
  const told = await Promise.all(
    names.map(async (dialect) => {
      await using server = await startModelServer({ dialect, contextTokens: 40_960 });
      const paths = ["/v1/models", "/props", "/api/v0/models"];
      const texts = await Promise.all(paths.map(async (path) => (await fetch(new URL(path, server.url))).text()));
      return [dialect, paths.filter((_path, at) => texts[at]?.includes("40960"))];
    }),
  );

  expect(Object.fromEntries(told)).toEqual({
    vllm: ["/v1/models"],
    sglang: ["/v1/models"],
    ktransformers: ["/v1/models"],
    llamacpp: ["/props"],
    lmstudio: ["/api/v0/models"],
    ollama: [],
    mlx: [],
    transformers: [],
    generic: [],
  });
});

test("a request that is too long is refused in the server's words, cut, or taken", async () => {
  const answers = await Promise.all(
    names.map(async (dialect) => {
      await using server = await startModelServer({ dialect, contextTokens: 100 });
      const answer = await ask(server, "x".repeat(4000));
      return [dialect, answer.status === 200 ? 200 : await answer.text()];
    }),
  );

  expect(Object.fromEntries(answers)).toEqual({
    vllm: expect.stringContaining("maximum context length is 100 tokens"),
    sglang: expect.stringContaining("longer than the model's context length (100 tokens)"),
    ktransformers: expect.stringContaining("longer than the model's context length (100 tokens)"),
    llamacpp: expect.stringContaining("exceed_context_size_error"),
    lmstudio: expect.stringContaining('{"error":"The number of tokens to keep'),
    generic: expect.stringContaining("context_length_exceeded"),
    ollama: 200,
    mlx: 200,
    transformers: 200,
  });
});

test("planted faults come before the turn, one for each request", async () => {
  await using server = await startModelServer({
    dialect: "vllm",
    turns: [{ text: "first" }, { text: "second" }],
    faults: {
      0: [{ kind: "status", status: 429, headers: { "retry-after": "1" } }],
      1: [{ kind: "refuse" }, { kind: "cut", after: 1 }, { kind: "error-event", after: 1, message: "died" }],
    },
  });

  expect((await ask(server)).headers.get("retry-after")).toBe("1");
  expect(await (await ask(server)).text()).toContain("first");
  await expect(ask(server)).rejects.toThrow("fetch failed");
  await expect(ask(server).then((answer) => answer.text())).rejects.toThrow("terminated");
  expect(await (await ask(server)).text()).toContain('"message":"died"');
  expect(await (await ask(server)).text()).toContain("second");
  expect((await ask(server)).status).toBe(500);
  expect(server.requests).toHaveLength(7);
});

test("who leaves a hanging answer is noticed, and a closed port opens again", async () => {
  await using server = await startModelServer({ dialect: "vllm", faults: { 0: [{ kind: "hang", after: 1 }] } });
  const abort = new AbortController();
  const asked = await ask(server, "hello", abort.signal);

  abort.abort();
  await expect(asked.text()).rejects.toThrow("aborted");
  await (await server.request(0)).abandoned;
  await server.goAway();
  await expect(ask(server)).rejects.toThrow("fetch failed");
  await server.comeBack();

  expect(await (await ask(server)).text()).toContain("ready");
});

test("a loading server is away in its own way, and then there", async () => {
  await using vllm = await startModelServer({ dialect: "vllm", loadingRequests: 1 });
  await using llama = await startModelServer({ dialect: "llamacpp", loadingRequests: 1 });

  await expect(fetch(`${vllm.url}/models`)).rejects.toThrow("fetch failed");
  expect(await (await fetch(`${llama.url}/models`)).text()).toContain("Loading model");
  expect((await fetch(`${vllm.url}/models`)).status).toBe(200);
  expect((await fetch(`${llama.url}/models`)).status).toBe(200);
});

test("the same conversation again is cached", async () => {
  await using server = await startModelServer({ dialect: "vllm" });

  await (await ask(server, "x".repeat(8000))).text();
  const again = chunksOf(await (await ask(server, "x".repeat(8000))).text());

  expect(again.at(-1)?.usage?.prompt_tokens_details?.cached_tokens).toBeGreaterThan(1900);
});

interface Chunk {
  choices: {
    delta: {
      content?: string | null;
      tool_calls?: { index: number; id?: string; function: { name?: string; arguments: string } }[];
    };
  }[];
  usage?: { prompt_tokens_details?: { cached_tokens: number } };
}

function chunksOf(stream: string): Chunk[] {
  const events = stream.split("\n\n").filter((event) => event.startsWith("data: {"));
  return events.map((event) => JSON.parse(event.slice("data: ".length)) as Chunk);
}

async function ask(server: ModelServer, text = "hello", signal?: AbortSignal): Promise<Response> {
  return fetch(`${server.url}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "Qwen/Qwen3-Coder-Next",
      messages: [{ role: "user", content: text }],
      max_tokens: 50,
      stream: true,
      stream_options: { include_usage: true },
    }),
    signal: signal ?? null,
  });
}
