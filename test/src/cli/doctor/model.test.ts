import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { Finding } from "../../../../src/cli/doctor/finding.ts";
import { textOf } from "../../../../src/cli/doctor/finding.ts";
import { examineModel } from "../../../../src/cli/doctor/model.ts";
import type { ProbeLimits } from "../../../../src/cli/doctor/model.ts";
import { dialects } from "../../../support/model-dialects.ts";
import type { DialectName } from "../../../support/model-dialects.ts";
import type { Fault } from "../../../support/model-faults.ts";
import { startModelServer } from "../../../support/model-server.ts";
import type { Answer, ModelRequestSeen, ModelServerOptions } from "../../../support/model-server.ts";
import type { Turn } from "../../../support/model-stream.ts";

const names = Object.keys(dialects) as DialectName[];

test.each(names)("%s, healthy, can drive an agent", async (dialect) => {
  const findings = await examine({ dialect });

  expect(bad(findings)).toEqual([]);
  expect(findings.map(({ part }) => part)).toEqual([
    "model",
    "context",
    "metrics",
    "answer",
    "two-calls",
    "no-arguments",
    "types",
    "long-text",
    "large-prompt",
    "cache",
  ]);
  const quiet = ["answer", "two-calls", "no-arguments", "types", "large-prompt"];
  expect(findings.filter(({ part, level }) => quiet.includes(part) && level !== "ok")).toEqual([]);
});

test("vLLM with all its flags has nothing to mend", async () => {
  const findings = await examine({ dialect: "vllm" });

  expect(findings.filter(({ level }) => level !== "ok")).toEqual([]);
  expect(says(findings, "model")).toContain("by vLLM 0.25.1");
  expect(says(findings, "cache")).toMatch(/\(100 %\) were in the cache|\(99 %\) were in the cache/);
});

test("what a server's own parser damages is named, with the server to use instead", async () => {
  const findings = await examine({ dialect: "ollama" });

  expect(level(findings, "long-text")).toBe("warn");
  expect(says(findings, "long-text")).toMatch(/Ollama's parser turned `<T=string>`.*vLLM 0\.25 or newer/);
});

test.each<{ dialect: DialectName; contextTokens: number; found: string; says: RegExp }>([
  { dialect: "vllm", contextTokens: 32_768, found: "warn", says: /32768 tokens.*--max-model-len/ },
  { dialect: "sglang", contextTokens: 32_768, found: "warn", says: /32768 tokens.*--context-length/ },
  { dialect: "ktransformers", contextTokens: 32_768, found: "warn", says: /32768 tokens.*--context-length/ },
  { dialect: "llamacpp", contextTokens: 16_384, found: "warn", says: /16384 tokens.*`-c 131072`/ },
  { dialect: "lmstudio", contextTokens: 4096, found: "bad", says: /4096 tokens.*lms load/ },
  {
    dialect: "ollama",
    contextTokens: 65_536,
    found: "warn",
    says: /does not tell.*OLLAMA_CONTEXT_LENGTH.*MODEL_CONTEXT/,
  },
  { dialect: "mlx", contextTokens: 65_536, found: "warn", says: /does not tell.*MODEL_CONTEXT/ },
  { dialect: "transformers", contextTokens: 65_536, found: "warn", says: /does not tell.*MODEL_CONTEXT/ },
  { dialect: "generic", contextTokens: 65_536, found: "warn", says: /does not tell.*MODEL_CONTEXT/ },
])("$dialect with $contextTokens tokens of context: $found", async ({ dialect, contextTokens, found, says: text }) => {
  const findings = await examine({ dialect, contextTokens });

  expect(level(findings, "context")).toBe(found);
  expect(says(findings, "context")).toMatch(text);
});

test("a prompt that is cut without a word is found by the server's own count", async () => {
  const findings = await examine({ dialect: "ollama", contextTokens: 4096 });

  expect(level(findings, "large-prompt")).toBe("bad");
  expect(says(findings, "large-prompt")).toMatch(/only 4096 were read.*OLLAMA_CONTEXT_LENGTH/);
});

test.each(names.filter((name) => dialects[name].overflow.kind === "refuses"))(
  "%s that refuses a prompt within its own context is bad",
  async (dialect) => {
    const findings = await examine({ dialect, turns: onProbe({ "large-prompt": { fault: { kind: "overflow" } } }) });

    expect(bad(findings)).toEqual(["large-prompt"]);
    expect(says(findings, "large-prompt")).toMatch(/too long for the model.*context/i);
  },
);

const refusals: { what: string; dialect: DialectName; fault: Fault; says: RegExp }[] = [
  {
    what: "vLLM without a parser",
    dialect: "vllm",
    fault: {
      kind: "status",
      status: 400,
      message: '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
    },
    says: /--enable-auto-tool-choice --tool-call-parser qwen3_coder/,
  },
  {
    what: "llama.cpp without templates",
    dialect: "llamacpp",
    fault: { kind: "status", status: 500, message: "tools param requires --jinja flag" },
    says: /llama-server with `--jinja`/,
  },
  {
    what: "llama.cpp that can't make a grammar",
    dialect: "llamacpp",
    fault: { kind: "status", status: 400, message: "Failed to initialize samplers: failed to parse grammar" },
    says: /grammar of the tools.*build newer than 20 February 2026/,
  },
  {
    what: "Ollama with a template that knows no tools",
    dialect: "ollama",
    fault: { kind: "status", status: 400, message: "registry.ollama.ai/library/x does not support tools" },
    says: /template of this model knows none.*Update Ollama/,
  },
];
test.each(refusals)("$what refuses tools, and is told apart", async ({ dialect, fault, says: text }) => {
  const findings = await examine({ dialect, turns: onProbe({ "two-calls": { fault } }) });

  expect(bad(findings)).toEqual(["two-calls"]);
  expect(says(findings, "two-calls")).toMatch(text);
});

const leaked: Turn = { text: "<function=lookup>\n<parameter=key>\nalpha\n</parameter>\n</function>\n</tool_call>" };
const remedies: Record<DialectName, RegExp> = {
  vllm: /vLLM has no parser.*--tool-call-parser qwen3_coder/,
  sglang: /SGLang has no parser.*SGLang with `--tool-call-parser qwen3_coder`/,
  ktransformers: /SGLang has no parser.*SGLang with `--tool-call-parser qwen3_coder`/,
  ollama: /Ollama has no parser.*vLLM 0\.25/,
  lmstudio: /LM Studio has no parser.*vLLM 0\.25/,
  llamacpp: /llama\.cpp has no parser.*--jinja/,
  mlx: /the server has no parser.*vLLM 0\.25/,
  transformers: /the server has no parser.*vLLM 0\.25/,
  generic: /the server has no parser.*vLLM 0\.25/,
};
test.each(names)("%s whose calls come as text is bad, and the remedy is its own", async (dialect) => {
  const findings = await examine({ dialect, turns: onProbe({ "two-calls": leaked }) });

  expect(bad(findings)).toEqual(["two-calls"]);
  expect(says(findings, "two-calls")).toMatch(remedies[dialect]);
});

test("calls that come as text now and then are a warning", async () => {
  const answers = [leaked];
  const turns = (request: ModelRequestSeen) =>
    partOf(request) === "two-calls" ? (answers.pop() ?? healthy(request)) : healthy(request);

  const findings = await examine({ dialect: "ollama", turns });

  expect(bad(findings)).toEqual([]);
  expect(says(findings, "two-calls")).toMatch(/^now and then, the call came as text/);
});

const damages: { what: string; part: string; answer: Answer; found: string; says: RegExp }[] = [
  {
    what: "an answer that is all reasoning",
    part: "answer",
    answer: { reasoning: "ready" },
    found: "bad",
    says: /came as reasoning.*without `--reasoning-parser`/,
  },
  {
    what: "an answer that is empty",
    part: "answer",
    answer: { text: "" },
    found: "bad",
    says: /was empty.*log/,
  },
  {
    what: "a model that thinks aloud",
    part: "answer",
    answer: { text: "<think>hm</think>ready" },
    found: "warn",
    says: /thinks aloud/,
  },
  {
    what: "a call in the reasoning",
    part: "two-calls",
    answer: { reasoning: "<tool_call>\n<function=lookup>" },
    found: "bad",
    says: /call came as reasoning.*--reasoning-parser/,
  },
  {
    what: "a call that was swallowed",
    part: "two-calls",
    answer: { text: "" },
    found: "bad",
    says: /parser swallows.*--tool-call-parser/,
  },
  {
    what: "a model that makes no call",
    part: "two-calls",
    answer: { text: "I can't." },
    found: "bad",
    says: /no call came, but the text "I can't\."/,
  },
  {
    what: "one of two calls",
    part: "two-calls",
    answer: { calls: [{ name: "lookup", arguments: { key: "alpha" } }] },
    found: "warn",
    says: /one of two calls came/,
  },
  {
    what: "markup in a call's name",
    part: "no-arguments",
    answer: { calls: [{ name: "status\n<parameter=x", arguments: "{}" }] },
    found: "bad",
    says: /markup in its name.*without `--speculative-config`/,
  },
  {
    what: "markup in a call's keys",
    part: "two-calls",
    answer: { calls: [{ name: "lookup", arguments: '{"key=alpha": ""}' }] },
    found: "bad",
    says: /markup in its name or keys/,
  },
  {
    what: "arguments that are null",
    part: "no-arguments",
    answer: { calls: [{ name: "status", arguments: "null" }] },
    found: "bad",
    says: /no JSON object/,
  },
  {
    what: "an array as text",
    part: "types",
    answer: { calls: [{ name: "label", arguments: { labels: '["bug", "ui"]', count: 2, deep: true } }] },
    found: "warn",
    says: /array came as the text.*--tool-call-parser qwen3_coder/,
  },
  {
    what: "numbers as text",
    part: "types",
    answer: { calls: [{ name: "label", arguments: { labels: ["bug", "ui"], count: "2", deep: "true" } }] },
    found: "warn",
    says: /count and deep came as text/,
  },
  {
    what: "a call whose arguments are cut",
    part: "long-text",
    answer: { fault: { kind: "bad-arguments" } },
    found: "bad",
    says: /no JSON object/,
  },
  {
    what: "a stream that is cut",
    part: "types",
    answer: { fault: { kind: "early-end", after: 2 } },
    found: "bad",
    says: /without a `finish_reason`/,
  },
  {
    what: "a stream that breaks",
    part: "types",
    answer: { fault: { kind: "cut", after: 2 } },
    found: "bad",
    says: /log of vLLM/,
  },
  {
    what: "a stream of garbage",
    part: "types",
    answer: { fault: { kind: "garbage" } },
    found: "bad",
    says: /no JSON of a chunk/,
  },
  {
    what: "an error in the stream",
    part: "types",
    answer: { fault: { kind: "error-event", after: 1, message: "EngineCore died" } },
    found: "bad",
    says: /EngineCore died/,
  },
  {
    what: "a tool that was not offered",
    part: "types",
    answer: { fault: { kind: "wrong-tool" } },
    found: "bad",
    says: /called that was not offered/,
  },
];
test.each(damages)("$what is found and named", async ({ part, answer, found, says: text }) => {
  const findings = await examine({ dialect: "vllm", turns: onProbe({ [part]: answer }) });

  expect(level(findings, part)).toBe(found);
  expect(says(findings, part)).toMatch(text);
});

test.concurrent.each<Fault>([{ kind: "silent" }, { kind: "hang", after: 2 }])(
  "an answer that never is complete ($kind) costs no more than the limit, and the others are asked for",
  async (fault) => {
    const turns = onProbe({ types: { fault } });

    const findings = await examine({ dialect: "vllm", turns }, { limits: { shortMs: 1000, longMs: 20_000 } });

    expect(says(findings, "types")).toMatch(/no answer was complete within 1 s.*log of vLLM/);
    expect(level(findings, "long-text")).toBe("ok");
  },
);

const copies: { what: string; change: (text: string) => string; found: string; says: RegExp }[] = [
  {
    what: "tags with values rewritten",
    change: (text) => text.replaceAll("<T=string>", '<T name="string">'),
    found: "warn",
    says: /parser turned/,
  },
  { what: "entities", change: (text) => text.replaceAll("<", "&lt;"), found: "warn", says: /HTML entities/ },
  {
    what: "line ends encoded twice",
    change: (text) => text.replaceAll("\n", "\\n"),
    found: "bad",
    says: /encoded twice/,
  },
  { what: "an end that is missing", change: (text) => text.slice(0, 400), found: "bad", says: /was cut after/ },
  {
    what: "another word",
    change: (text) => text.replace("it's 5", "it is 5"),
    found: "warn",
    says: /line 2 came back/,
  },
];
test.each(copies)("a long text with $what is told apart", async ({ change, found, says: text }) => {
  const turns = (request: ModelRequestSeen) => {
    const answer = healthy(request);
    if (partOf(request) !== "long-text" || !("calls" in answer)) return answer;
    const calls = (answer.calls ?? []).map(({ name, arguments: given }) => ({
      name,
      arguments: typeof given === "string" ? given : { ...given, text: change(String(given["text"])) },
    }));
    return { calls };
  };

  const findings = await examine({ dialect: "vllm", turns });

  expect(level(findings, "long-text")).toBe(found);
  expect(says(findings, "long-text")).toMatch(text);
});

test.each<{ what: string; options: Partial<ModelServerOptions>; says: RegExp }>([
  { what: "that is off", options: { cacheBlock: 0 }, says: / 0 \(0 %\) were in the cache.*--enable-prefix-caching/ },
  { what: "that is not told", options: { tellsCached: false }, says: /does not tell.*--enable-prompt-tokens-details/ },
])("a cache $what is a warning with its own flag", async ({ options, says: text }) => {
  const findings = await examine({ dialect: "vllm", ...options });

  expect(level(findings, "cache")).toBe("warn");
  expect(says(findings, "cache")).toMatch(text);
});

test.each([{ "vllm:spec_decode_num_drafts_total": 3 }, { "vllm:spec_decode_draft_acceptance_rate": 0.7 }])(
  "speculative decoding is seen by %o, and blamed for damaged calls",
  async (metrics) => {
    const broken = { calls: [{ name: "lookup", arguments: '{"command=ls": ""}' }] };

    const findings = await examine({ dialect: "vllm", turns: onProbe({ "two-calls": broken }) }, { metrics });

    expect(says(findings, "metrics")).toMatch(/guesses tokens ahead.*without `--speculative-config`/);
    expect(says(findings, "two-calls")).toMatch(/Speculative decoding is on/);
  },
);

test.each([
  { metrics: { "vllm:num_requests_waiting": 3, "vllm:kv_cache_usage_perc": 0.2 }, says: /3 requests wait/ },
  { metrics: { "vllm:num_requests_waiting": 0, "vllm:gpu_cache_usage_perc": 0.95 }, says: /95 % full/ },
])("a busy server is a warning: $says", async ({ metrics, says: text }) => {
  const findings = await examine({ dialect: "vllm" }, { metrics });

  expect(level(findings, "metrics")).toBe("warn");
  expect(says(findings, "metrics")).toMatch(text);
});

test("metrics that a flag would show are asked for by that flag", async () => {
  expect(says(await examine({ dialect: "llamacpp" }), "metrics")).toContain("--metrics");
  expect(says(await examine({ dialect: "sglang" }), "metrics")).toContain("--enable-metrics");
});

test("a server that refuses the key, lists other models or is not there ends the examination", async () => {
  const refused = await examine({ dialect: "vllm", apiKey: "right" });
  const several = await examine({ dialect: "vllm", model: ["a/one", "b/two"] });
  const away = await examine({ dialect: "vllm" }, { away: true });

  expect([refused, several, away].map((findings) => findings.map(({ part, level }) => [part, level]))).toEqual([
    [["model", "bad"]],
    [["model", "bad"]],
    [["model", "bad"]],
  ]);
  expect(says(refused, "model")).toContain("MODEL_API_KEY");
  expect(says(several, "model")).toContain("set MODEL_NAME to one of a/one, b/two");
  expect(says(away, "model")).toContain("is it running?");
});

test("a model that is served under another name than the configured one is a warning", async () => {
  await using server = await startModelServer({ dialect: "vllm", turns: healthy });

  const findings = await all(server.url, undefined, "Qwen3-Coder-Next");

  expect(level(findings, "model")).toBe("warn");
  expect(says(findings, "model")).toContain("Set MODEL_NAME to Qwen/Qwen3-Coder-Next");
});

test("all questions of one examination go to one server behind a router, and another one's may go elsewhere", async () => {
  await using server = await startModelServer({ dialect: "vllm", turns: healthy });

  await all(server.url);
  const first = new Set(server.requests.map(({ headers }) => headers["x-session-id"]));
  await all(server.url);

  expect(first.size).toBe(1);
  expect(new Set(server.requests.map(({ headers }) => headers["x-session-id"])).size).toBe(2);
});

test.concurrent.each<{ what: string; turns: (request: ModelRequestSeen) => Answer; code: number }>([
  { what: "that can drive an agent, with warnings", turns: healthy, code: 0 },
  { what: "that can't", turns: onProbe({ "no-arguments": { text: "" } }), code: 1 },
])("the command ends with $code for a server $what", async ({ turns, code }) => {
  await using server = await startModelServer({ dialect: "ollama", turns });

  const ended = await command(["doctor", "--model", "--json"], server.url);

  expect(ended.code).toBe(code);
  const lines = ended.stdout.trim().split("\n");
  expect(lines.map((line) => JSON.parse(line) as unknown)).toContainEqual({
    part: "no-arguments",
    ok: code === 0,
    level: code === 0 ? "ok" : "bad",
    saw: expect.any(String),
  });
});

async function command(args: string[], MODEL_BASE_URL: string): Promise<{ code: number; stdout: string }> {
  const launcher = fileURLToPath(new URL("../../../../src/cli/agent-fix.js", import.meta.url));
  const env = { ...process.env, MODEL_BASE_URL, MODEL_NAME: "", MODEL_CONTEXT: "" };
  const child = spawn(process.execPath, [launcher, ...args], { env, stdio: ["ignore", "pipe", "inherit"] });
  const [stdout] = await Promise.all([text(child.stdout), once(child, "exit")]);
  return { code: child.exitCode ?? -1, stdout };
}

/** A model that does what the questions ask for. */
function healthy(request: ModelRequestSeen): Turn {
  const prompt = promptOf(request);
  switch (partOf(request)) {
    case "two-calls":
      return { calls: ["alpha", "beta"].map((key) => ({ name: "lookup", arguments: { key } })) };
    case "no-arguments":
      return { calls: [{ name: "status", arguments: {} }] };
    case "types":
      return { calls: [{ name: "label", arguments: { labels: ["bug", "ui"], count: 2, deep: true } }] };
    case "long-text": {
      const text = /BEGIN\n([\s\S]*)END\n/.exec(prompt)?.[1] ?? "";
      return { text: "I write.", calls: [{ name: "write_note", arguments: { path: "note.ts", text } }] };
    }
    case "large-prompt":
      return { text: /password is (\S+)\./.exec(prompt)?.[1] ?? "" };
    default:
      return { text: "ready" };
  }
}

function onProbe(planted: Record<string, Answer>): (request: ModelRequestSeen) => Answer {
  return (request) => planted[partOf(request)] ?? healthy(request);
}

function partOf(request: ModelRequestSeen): string {
  const parts: Record<string, string> = {
    lookup: "two-calls",
    status: "no-arguments",
    label: "types",
    write_note: "long-text",
  };
  const name = request.body.tools?.[0]?.function.name;
  if (name !== undefined) return parts[name] ?? name;
  return promptOf(request).includes("password") ? "large-prompt" : "answer";
}

function promptOf({ body }: ModelRequestSeen): string {
  return String(body.messages[0]?.["content"]);
}

async function examine(
  options: ModelServerOptions,
  { metrics, away = false, limits }: { metrics?: Record<string, number>; away?: boolean; limits?: ProbeLimits } = {},
): Promise<Finding[]> {
  await using server = await startModelServer({ turns: healthy, ...options });
  if (metrics !== undefined) server.metrics = metrics;
  if (away) await server.goAway();
  const findings = await all(server.url, limits);
  return findings;
}

async function all(baseUrl: string, limits?: ProbeLimits, name?: string): Promise<Finding[]> {
  const model = { baseUrl, name, apiKey: "EMPTY", contextTokens: undefined, priority: undefined, given: true };
  const findings: Finding[] = [];
  for await (const finding of examineModel(model, limits)) findings.push(finding);
  return findings;
}

function bad(findings: readonly Finding[]): string[] {
  return findings.filter(({ level }) => level === "bad").map(({ part }) => part);
}

function level(findings: readonly Finding[], part: string): string | undefined {
  return findings.find((finding) => finding.part === part)?.level;
}

function says(findings: readonly Finding[], part: string): string {
  const found = findings.find((finding) => finding.part === part);
  return found === undefined ? "" : textOf(found);
}
