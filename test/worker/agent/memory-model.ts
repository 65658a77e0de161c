import { z } from "zod";
import { ModelError } from "../../../worker/agent/model.ts";
import type { BrokenCall, Message, ModelClient, Reply, ToolCall } from "../../../worker/agent/model.ts";
import { createTool } from "../../../worker/agent/tool.ts";
import type { Tool } from "../../../worker/agent/tool.ts";

/** What the model says in one answer, or how it fails. */
export type Said = Partial<Omit<Reply, "calls">> & { calls?: Call[] };
interface Call {
  name: string;
  args?: object;
  broken?: BrokenCall;
}

/** A model in this process that counts four bytes as a token and refuses what is longer than its window. */
export interface MemoryModel extends ModelClient {
  /** The messages of every request, as they were then. */
  requests: Message[][];
}

export function createMemoryModel(
  says: (request: { messages: readonly Message[]; number: number }) => Said | ModelError,
  contextTokens = 262_144,
): MemoryModel {
  const requests: Message[][] = [];
  return {
    requests,
    describe: async () => ({ name: "m", contextTokens }),
    async reply({ messages, signal }) {
      signal.throwIfAborted();
      requests.push([...messages]);
      const number = requests.length - 1;
      const promptTokens = tokensOf(messages);
      if (promptTokens >= contextTokens) throw overflow(promptTokens, contextTokens);
      const said = says({ messages, number });
      if (said instanceof ModelError) throw said;
      const calls = (said.calls ?? []).map((call, index) => toCall(call, `call_${number}_${index}`));
      const usage = { promptTokens, completionTokens: 10, cachedTokens: 0 };
      const how = { truncated: false, waitedMs: 0, finish: "stop", recovered: 0 };
      return { text: "", usage, ...how, ...said, calls };
    },
  };
}

export function tokensOf(messages: readonly Message[]): number {
  return Math.ceil(JSON.stringify(messages).length / 4);
}

export function overflow(prompt: number, limit: number): ModelError {
  return new ModelError("overflow", `This model's maximum context length is ${limit} tokens`, {
    overflow: { prompt, limit, atLeast: false },
  });
}

export function isSummaryRequest(messages: readonly Message[]): boolean {
  return messages.at(-1)?.text.startsWith("This conversation gets too long") ?? false;
}

/** Tools in this process: `bash` prints what `prints` says, `submit` ends at its second call. */
export function createMemoryTools(prints: (command: string) => string = (command) => `ran ${command}`): Tool[] {
  let reviewed = false;
  return [
    createTool({
      name: "bash",
      description: "Runs a command.",
      parameters: z.object({ command: z.string().min(1) }),
      call: async ({ command }) => ({ text: prints(command) }),
    }),
    createTool({
      name: "update_plan",
      description: "Shows the plan.",
      parameters: z.object({ items: z.string() }),
      call: async () => ({ text: "The plan is shown." }),
    }),
    createTool({
      name: "submit",
      description: "Hands in the change.",
      parameters: z.object({ title: z.string(), cause: z.string(), change: z.string() }),
      async call(submission) {
        if (reviewed) return { text: "Submitted.", end: { end: "submitted", submission } };
        reviewed = true;
        return { text: "Check this list." };
      },
    }),
  ];
}

export const submits: Said = {
  calls: [{ name: "submit", args: { title: "Mend it", cause: "It was broken.", change: "Mended it." } }],
};

export function bash(command: string): Said {
  return { calls: [{ name: "bash", args: { command } }] };
}

function toCall({ name, args = {}, broken }: Call, id: string): ToolCall {
  return { id, name, arguments: JSON.stringify(args), ...(broken && { broken }) };
}
