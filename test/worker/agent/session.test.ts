import { expect, test } from "vitest";
import { createModelClient } from "../../../worker/agent/openai.ts";
import { openSession } from "../../../worker/agent/session.ts";
import { startModelServer } from "../../support/model-server.ts";

const signal = new AbortController().signal;

test("a run's requests carry its id, and all that it waits for is told", async () => {
  const faults = { 0: [{ kind: "status" as const, status: 503 }] };
  await using server = await startModelServer({ dialect: "vllm", faults });
  const told: (string | undefined)[] = [];
  let away = true;
  const delay = async () => {
    if (away) await server.comeBack();
    away = false;
  };
  const model = createModelClient({ baseUrl: server.url, apiKey: "EMPTY", delay });
  const session = openSession(model, {
    id: "run-1",
    onWaiting: (reason) => told.push(reason),
  });
  await server.goAway();

  await session.describe(signal);
  expect(told).toEqual(["its server is away or busy", undefined]);
  await session.reply({ messages: [{ role: "user", text: "Task" }], tools: [], signal });

  expect(told).toHaveLength(4);
  expect(server.requests.map(({ headers }) => headers["x-session-id"])).toEqual(["run-1", "run-1"]);
});
