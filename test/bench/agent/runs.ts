import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import OpenAI from "openai";
import { request } from "undici";
import { runAgent } from "../../../worker/agent/loop.ts";
import type { AgentEvent } from "../../../worker/agent/loop.ts";
import type { Message } from "../../../worker/agent/model.ts";
import { createModelClient } from "../../../worker/agent/openai.ts";
import { wireTools } from "../../../worker/agent/schema.ts";
import { openSession } from "../../../worker/agent/session.ts";
import { toBody } from "../../../worker/agent/wire.ts";
import { recordRun, recordedInbox, recordedTools, taskMessages } from "./recording.ts";
import { sessionName } from "./session.ts";
import type { Session } from "./session.ts";

const contextTokens = 262_144;
const limits = { steps: 10_000, tokens: 1e9, minutes: 1e9 };

/** A recorded run, and the server that answers it. */
export interface Runs {
  /** The requests of the whole run, in order. */
  bodies: readonly ReturnType<typeof toBody>[];
  /** The run from the answer `session.from` on, through client and loop; returns its conversation. */
  throughLoop: (session: Session, watch?: (event: AgentEvent) => void) => Promise<Message[]>;
  /** The same requests by the SDK alone, each answer read to its end. */
  throughSdk: (session: Session) => Promise<void>;
  /** The same requests by nothing but undici and `JSON.stringify`. */
  throughUndici: (session: Session) => Promise<void>;
  /** What the server received in that session. */
  bytesOf: (session: Session) => Promise<number>;
}

export async function openRuns(stack: AsyncDisposableStack, steps: number): Promise<Runs> {
  const url = await startServer(stack, steps);
  const model = createModelClient({ baseUrl: `${url}/v1`, apiKey: "EMPTY" });
  const sdk = new OpenAI({ baseURL: `${url}/v1`, apiKey: "EMPTY", maxRetries: 0 });
  // The server never fails.
  const recording = recordRun(steps).filter(({ answer }) => !("fault" in answer));

  async function run(session: Session, messages: Message[], watch: (event: AgentEvent) => void): Promise<Message[]> {
    const { end } = await runAgent({
      model: openSession(model, { id: sessionName(session), onWaiting: () => {} }),
      tools: recordedTools(recording, contextTokens, session.from),
      messages,
      limits,
      signal: new AbortController().signal,
      record: async (event) => watch(event),
      inbox: recordedInbox(recording, session.from),
    });
    if (end !== "submitted") throw new Error(`The recorded run ended with ${end}`);
    return messages;
  }

  const lengths: number[] = [];
  const task = taskMessages(contextTokens);
  const whole = await run({ id: 0, from: 0, answerMs: 0 }, task, ({ type }) => {
    if (type === "model.intent") lengths.push(task.length);
  });
  const tools = wireTools(recordedTools(recording, contextTokens));
  const extensions = { fields: () => ({ top_k: 40, stream_options: { include_usage: true } }), refusedBy: () => false };
  const bodies = lengths.map((length) =>
    toBody({ model: "recorded", messages: whole.slice(0, length), tools, maxTokens: 16_384 }, extensions),
  );

  return {
    bodies,
    throughLoop: (session, watch = () => {}) => run(session, whole.slice(0, lengths[session.from]), watch),
    async throughSdk(session) {
      const headers = { "x-session-id": sessionName(session) };
      for (const body of bodies) {
        let last: unknown;
        for await (const chunk of await sdk.chat.completions.create(body, { headers })) last = chunk;
        if (last === undefined) throw new Error("The server said nothing");
      }
    },
    async throughUndici(session) {
      const headers = { "content-type": "application/json", "x-session-id": sessionName(session) };
      for (const body of bodies) {
        const options = { method: "POST", headers, body: JSON.stringify(body) } as const;
        const answer = await request(`${url}/v1/chat/completions`, options);
        await answer.body.text();
      }
    },
    async bytesOf(session) {
      return Number(await (await fetch(`${url}/bytes/${sessionName(session)}`)).text());
    },
  };
}

/** The address of a server in a process of its own, which goes with the stack. */
async function startServer(stack: AsyncDisposableStack, steps: number): Promise<string> {
  const child = fork(join(import.meta.dirname, "model-process.ts"), [String(steps)]);
  stack.defer(async () => {
    const gone = once(child, "exit");
    child.disconnect();
    await gone;
  });
  const [url] = (await once(child, "message")) as [string];
  return url;
}
