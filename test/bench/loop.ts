import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { openRuns } from "./agent/runs.ts";
import type { Runs } from "./agent/runs.ts";
import type { Session } from "./agent/session.ts";
import { median } from "./harness.ts";
import type { Bench } from "./harness.ts";

const steps = 150;
/** Runs at once, each with so many requests left, and how long the model takes for each. */
const crowd = { runs: 50, requests: 8, answerMs: 2000 };
/** How many conversations are held to see how large one is. */
const held = 10;
/** Runs that go on at once to see what the kernel counts for each. */
const atOnce = 5;
const megabyte = 2 ** 20;

/** What a step costs in a conversation that grows to 100,000 tokens, beside the same requests without client and loop. */
export async function loop(stack: AsyncDisposableStack): Promise<Bench[]> {
  const runs = await openRuns(stack, steps);
  const sizes = runs.bodies.map((body) => Buffer.byteLength(JSON.stringify(body)));
  const largest = Math.max(...sizes) / megabyte;
  return [
    {
      rounds: 30,
      contenders: {
        loop: () => cpuOfStep(runs, runs.throughLoop),
        SDK: () => cpuOfStep(runs, runs.throughSdk),
        "bare undici": () => cpuOfStep(runs, runs.throughUndici),
      },
      rows: [
        { measure: "CPU of a step", unit: "ms", value: "loop", beside: "bare undici", goal: { atMost: 3 } },
        { measure: "CPU of a request by the SDK alone", unit: "ms", value: "SDK", beside: "bare undici" },
      ],
    },
    {
      rounds: 1,
      contenders: {
        loop: () => bytesOf(runs, runs.throughLoop),
        "bare undici": () => bytesOf(runs, runs.throughUndici),
      },
      rows: [{ measure: `${sizes.length} requests`, unit: "MB", value: "loop", beside: "bare undici" }],
    },
    {
      rounds: 5,
      contenders: { held: () => heldBytes(runs), body: async () => largest },
      rows: [{ measure: "memory that one run holds", unit: "MB", value: "held", beside: "body" }],
    },
    {
      rounds: 1,
      contenders: { resident: residentPerRun, body: async () => largest },
      rows: [{ measure: `RSS that one of ${atOnce} runs at once adds`, unit: "MB", value: "resident", beside: "body" }],
    },
    {
      rounds: 1,
      contenders: { crowd: () => stepInCrowd(runs), "the model alone": async () => crowd.answerMs },
      rows: [
        {
          measure: `a step, ${crowd.runs} runs at once`,
          unit: "ms",
          value: "crowd",
          beside: "the model alone",
          goal: { atMost: 1.01 },
        },
      ],
    },
  ];
}

let sessions = 0;

function newSession(more: Partial<Session> = {}): Session {
  return { id: ++sessions, from: 0, answerMs: 0, ...more };
}

/** Milliseconds, of all threads of this process. */
async function cpuOfStep({ bodies }: Runs, way: (session: Session) => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await way(newSession());
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / bodies.length;
}

async function bytesOf(runs: Runs, way: (session: Session) => Promise<unknown>): Promise<number> {
  const session = newSession();
  await way(session);
  return (await runs.bytesOf(session)) / megabyte;
}

async function heldBytes(runs: Runs): Promise<number> {
  const conversations = [];
  const before = await usedBytes();
  while (conversations.length < held) conversations.push(await runs.throughLoop(newSession()));
  return ((await usedBytes()) - before) / held / megabyte;
}

/** With what the collector leaves lying about; by processes of their own, since none gives memory back. */
async function residentPerRun(): Promise<number> {
  const one = await residentBytes(1);
  return ((await residentBytes(1 + atOnce)) - one) / atOnce / megabyte;
}

async function residentBytes(runsAtOnce: number): Promise<number> {
  const child = fork(join(import.meta.dirname, "agent", "held-process.ts"), [runsAtOnce, steps].map(String));
  const ended = once(child, "exit");
  const [bytes] = (await once(child, "message")) as [number];
  await ended;
  return bytes;
}

async function usedBytes(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  // Buffers and weak references go a turn later.
  await delay(50);
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** The median time from one request to the next, of runs near their end that don't keep step with each other. */
async function stepInCrowd(runs: Runs): Promise<number> {
  const from = runs.bodies.length - crowd.requests;
  const times: number[] = [];
  await Promise.all(
    Array.from({ length: crowd.runs }, async (_, index) => {
      // Far apart and never evenly: https://en.wikipedia.org/wiki/Low-discrepancy_sequence
      await delay(crowd.answerMs * ((index * 0.618) % 1));
      let last: number | undefined;
      await runs.throughLoop(newSession({ from, answerMs: crowd.answerMs }), ({ type }) => {
        if (type !== "model.intent") return;
        const now = performance.now();
        if (last !== undefined) times.push(now - last);
        last = now;
      });
    }),
  );
  return median(times);
}
