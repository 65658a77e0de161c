import { expect, test } from "vitest";
import { createAvailability } from "../../../worker/agent/availability.ts";
import { ModelError } from "../../../worker/agent/model.ts";
import type { RetryPolicy } from "../../../worker/agent/retry.ts";

const signal = new AbortController().signal;
const away = new ModelError("away", "not reachable");

test("while the server is away one request tries, and all others wait for what it finds", async () => {
  const { policy, waits, wake } = steered();
  const { ask } = createAvailability(policy);
  const server = createServer({ away: true });
  const told: (string | undefined)[] = [];
  const first = ask({ signal }, server.answer);
  await settled();

  const others = Array.from({ length: 20 }, () =>
    ask({ signal, onWaiting: (reason) => told.push(reason) }, server.answer),
  );
  await settled();
  await wake();
  await wake();

  expect({ asked: server.asked, waits }).toEqual({ asked: 3, waits: [1000, 2000, 4000] });
  expect(told).toEqual(Array.from({ length: 20 }, () => "its server is away or busy"));

  server.away = false;
  await wake();

  expect(await Promise.all([first, ...others])).toEqual(Array.from({ length: 21 }, () => "answer"));
  expect(server.asked).toBe(24);
  expect(told.slice(20)).toEqual(Array.from({ length: 20 }, () => undefined));
});

test("the others go on as soon as the server begins to answer the one that tries", async () => {
  const { policy, wake } = steered();
  const { ask } = createAvailability(policy);
  const server = createServer({ away: true });
  const whole = Promise.withResolvers<string>();
  let tries = 0;
  const first = ask({ signal }, async (reached) => {
    if (tries++ === 0) throw away;
    reached();
    return whole.promise;
  });
  await settled();
  server.away = false;
  const second = ask({ signal }, server.answer);
  await settled();
  expect(server.asked).toBe(0);

  await wake();

  expect(await second).toBe("answer");
  whole.resolve("long answer");
  expect(await first).toBe("long answer");
});

test("a run that is stopped while it tries hands over to the next one", async () => {
  const { policy, waits, wake } = steered();
  const { ask } = createAvailability(policy);
  const server = createServer({ away: true });
  const stop = new AbortController();
  const stopped = ask({ signal: stop.signal }, server.answer);
  await settled();
  const next = ask({ signal }, server.answer);
  const last = ask({ signal }, server.answer);
  await settled();

  stop.abort(new Error("stopped"));
  await expect(stopped).rejects.toThrow("stopped");
  await settled();
  expect({ asked: server.asked, waits }).toEqual({ asked: 2, waits: [1000, 2000] });
  server.away = false;
  await wake();

  expect(await Promise.all([next, last])).toEqual(["answer", "answer"]);
});

test("a run that waits behind another is stopped at once", async () => {
  const { policy } = steered();
  const { ask } = createAvailability(policy);
  const server = createServer({ away: true });
  const first = new AbortController();
  const second = new AbortController();
  const trying = ask({ signal: first.signal }, server.answer);
  await settled();
  const waiting = ask({ signal: second.signal }, server.answer);
  await settled();

  second.abort(new Error("stopped"));

  await expect(waiting).rejects.toThrow("stopped");
  first.abort(new Error("over"));
  await expect(trying).rejects.toThrow("over");
});

test("every run waits as long as it may, also behind one that gave up before", async () => {
  const { policy, waits, wake } = steered({ maxWaitMs: 2500 });
  let asked = 0;
  const { ask } = createAvailability({ ...policy, random: () => 0.5 ** asked++ });
  const server = createServer({ away: true });
  const outcomes: string[] = [];
  const note = (name: string) => (error: ModelError) => void outcomes.push(`${name}: ${error.kind}`);
  const first = ask({ signal }, server.answer).catch(note("first"));
  await settled();
  await wake();
  const late = ask({ signal }, server.answer).catch(note("late"));
  await settled();

  await wake();
  expect({ outcomes, waits }).toEqual({ outcomes: ["first: away"], waits: [1000, 1000, 1000] });
  await wake();
  await wake();
  await Promise.all([first, late]);

  expect({ outcomes, waits: waits.length }).toEqual({ outcomes: ["first: away", "late: away"], waits: 4 });
});

test("an answer that fails is asked for again alone, and holds up nobody", async () => {
  const { policy, wake } = steered();
  const { ask } = createAvailability(policy);
  const server = createServer({ away: false });
  let failing = 1;
  const hurt = ask({ signal }, async (reached) => {
    reached();
    if (failing-- > 0) throw new ModelError("server-error", "died");
    return "second answer";
  });
  await settled();

  expect(await ask({ signal }, server.answer)).toBe("answer");
  await wake();

  expect(await hurt).toBe("second answer");
});

test.each([
  { kind: "server-error", attempts: 10 },
  { kind: "stalled", attempts: 3 },
  { kind: "bad-request", attempts: 1 },
  { kind: "refused", attempts: 4 },
  { kind: "unknown-model", attempts: 4 },
  { kind: "overflow", attempts: 1 },
] as const)("a request that ends in $kind is sent $attempts times", async ({ kind, attempts }) => {
  const { ask } = createAvailability({ ...steered().policy, delay: async () => {} });
  let asked = 0;

  const failed = ask({ signal }, async () => {
    asked++;
    throw new ModelError(kind, "no");
  });

  await expect(failed).rejects.toMatchObject({ kind });
  expect(asked).toBe(attempts);
});

test("waits are spread, grow to a minute, and are never shorter than the server asks for", async () => {
  const waits: number[] = [];
  const errors = [...Array.from({ length: 8 }, () => away), new ModelError("away", "busy", { retryAfterMs: 100_000 })];
  const { ask } = createAvailability({
    ...steered().policy,
    random: () => 0.5,
    delay: async (ms) => void waits.push(ms),
  });

  await ask({ signal }, async () => {
    const error = errors.shift();
    if (error !== undefined) throw error;
    return "answer";
  });

  expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 100_000]);
});

test("what only a person can put right is asked again minutes later", async () => {
  const waits: number[] = [];
  const told: (string | undefined)[] = [];
  const policy = { ...steered().policy, random: () => 0.01, delay: async (ms: number) => void waits.push(ms) };
  const errors = (["refused", "unknown-model"] as const).map((kind) => new ModelError(kind, "no"));

  await createAvailability(policy).ask({ signal, onWaiting: (reason) => told.push(reason) }, async () => {
    const error = errors.shift();
    if (error !== undefined) throw error;
    return "answer";
  });

  expect(waits).toEqual([300_000, 300_000]);
  expect(told).toEqual(["its server refuses the key", undefined, "its server does not serve it", undefined]);
});

function createServer({ away: gone }: { away: boolean }) {
  const server = {
    away: gone,
    asked: 0,
    answer: async () => {
      server.asked++;
      if (server.away) throw away;
      return "answer";
    },
  };
  return server;
}

/** Waits that end when they are told to. */
function steered({ maxWaitMs = 15 * 60_000 } = {}) {
  const waits: number[] = [];
  const sleepers = new Set<() => void>();
  const policy: RetryPolicy = {
    maxWaitMs,
    attempts: 10,
    refusals: 3,
    random: () => 1,
    onWait: () => {},
    delay: async (ms, abort) => {
      waits.push(ms);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      sleepers.add(resolve);
      abort.addEventListener("abort", () => {
        sleepers.delete(resolve);
        reject(abort.reason);
      });
      return promise;
    },
  };
  const wake = async () => {
    const [first] = sleepers;
    if (first === undefined) throw new Error("Nobody waits");
    sleepers.delete(first);
    first();
    await settled();
  };
  return { policy, waits, wake };
}

/** Everything has happened that needs no time. */
async function settled() {
  await new Promise((resolve) => setImmediate(resolve));
}
