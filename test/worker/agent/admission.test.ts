import { expect, test } from "vitest";
import { createAdmission } from "../../../worker/agent/admission.ts";
import { createModelClient } from "../../../worker/agent/openai.ts";
import { startModelServer } from "../../support/model-server.ts";

const signal = new AbortController().signal;

test.each([
  { what: "requests wait", page: { "vllm:num_requests_waiting": 2, "vllm:kv_cache_usage_perc": 0.2 } },
  { what: "the cache is nearly full", page: { "vllm:num_requests_waiting": 0, "vllm:kv_cache_usage_perc": 0.93 } },
  { what: "the cache under its old name is", page: { "vllm:gpu_cache_usage_perc": 0.9 } },
])("a new run starts only when no more $what; one at work goes on", async ({ page }) => {
  await using server = await startModelServer({ dialect: "vllm" });
  const idle = server.metrics;
  const told: (string | undefined)[] = [];
  let waits = 0;
  const client = createModelClient({
    baseUrl: server.url,
    apiKey: "EMPTY",
    random: () => 0.5,
    delay: async (ms) => {
      expect(ms).toBe(5000);
      if (++waits === 3) server.metrics = idle;
    },
  });
  const ask = (session: string) =>
    client.reply({
      messages: [{ role: "user", text: "Task" }],
      tools: [],
      signal,
      session,
      onWaiting: (reason) => told.push(reason),
    });
  await ask("at work");
  server.metrics = page;

  await ask("at work");
  expect({ waits, told }).toEqual({ waits: 0, told: [] });
  await ask("new");

  expect({ waits, told }).toEqual({ waits: 3, told: ["its server is full", undefined] });
});

test.each([
  { what: "no such page", page: undefined },
  { what: "none of the numbers", page: { "vllm:num_requests_running": 7 } },
  { what: "a number that is none", page: { "vllm:num_requests_waiting": Number.NaN } },
])("a server with $what holds nobody back", async ({ page }) => {
  await using server = await startModelServer({ dialect: "vllm" });
  server.metrics = page;
  const client = createModelClient({ baseUrl: server.url, apiKey: "EMPTY" });

  const reply = await client.reply({ messages: [{ role: "user", text: "Task" }], tools: [], signal, session: "new" });

  expect(reply.text).toBe("ready");
});

test("a run at work stays known however many come after it, and one that is long over is forgotten", async () => {
  let isFull = false;
  const held: string[] = [];
  const page = async () => (isFull ? "vllm:num_requests_waiting 1\n" : "");
  const admission = createAdmission(page, { maxWaitMs: 1, random: () => 0.5, delay: async () => {} });
  const admit = (session: string) =>
    admission.admit(session, { signal, onWaiting: (reason) => reason !== undefined && held.push(session) });

  await admit("over");
  await admit("at work");
  for (let run = 0; run < 999; run++) await admit(`run ${run}`);
  await admit("at work");
  await admit("another");
  isFull = true;
  await admit("at work");
  await admit("over");

  expect(held).toEqual(["over"]);
});

test("a run is not held back for ever, and a stop ends it", async () => {
  let waitedMs = 0;
  const full = async () => 'vllm:num_requests_waiting{engine="0"} 0\nvllm:num_requests_waiting{engine="1"} 3.0\n';
  const policy = { maxWaitMs: 60_000, random: () => 0.5, delay: async (ms: number) => void (waitedMs += ms) };
  const stop = new AbortController();

  await createAdmission(full, policy).admit("new", { signal });
  const stopped = createAdmission(full, { ...policy, delay: async () => stop.abort(new Error("stopped")) });

  expect(waitedMs).toBe(60_000);
  await expect(stopped.admit("new", { signal: stop.signal })).rejects.toThrow("stopped");
});
