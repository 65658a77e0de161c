import { type Seen, bad, warn } from "./finding.ts";
import { servers } from "./model-servers.ts";
import type { Server } from "./model-servers.ts";
import type { Answer, RawCall } from "./model-wire.ts";

/** What is known of the server before a question. */
export interface Facts {
  server: Server;
  /** Whether it guesses tokens ahead. */
  speculative: boolean;
}

export type Answered = Extract<Answer, { kind: "answer" }>;

const opener = /<tool_call>|<function=/;
const closer = /<\/(?:parameter|function|tool_call)>/;

/** Why no answer came. */
export function unanswered(answer: Exclude<Answer, Answered>, { server }: Facts): Seen {
  if (answer.kind === "failed")
    return bad(answer.saw, `Look at the log of ${server.name}, and at any proxy before it; it must stream`);
  const { body, saw, overflow } = answer;
  if (overflow) return bad(saw, server.context);
  if (/--enable-auto-tool-choice|--tool-call-parser/.test(body))
    return bad("the server refuses tools: it was started without a parser for calls", servers.vllm.calls);
  if (/--jinja/.test(body))
    return bad("the server refuses tools: it was started without the model's own template", servers.llamacpp.calls);
  if (/not support tools/i.test(body))
    return bad("the server refuses tools: its template of this model knows none", server.calls);
  if (/grammar/i.test(body)) return bad(`the server can't make a grammar of the tools: ${saw}`, server.values);
  return { level: "bad", saw };
}

/** What is wrong with how calls arrived, before their values are looked at; undefined: nothing. */
export function misdelivered(answer: Answered, tool: string, facts: Facts): Seen | undefined {
  const { calls, text } = answer;
  if (calls.length === 0) return uncalled(answer, facts);
  const odd = calls.find(isMangled);
  if (odd !== undefined)
    return bad(`a call came with pieces of markup in its name or keys: ${excerpt(odd)}`, valuesRemedy(facts));
  const broken = calls.find((call) => argumentsOf(call) === undefined);
  if (broken !== undefined)
    return bad(`a call's arguments are no JSON object: ${excerpt(broken)}`, valuesRemedy(facts));
  const other = calls.find((call) => call.name.trim() !== tool);
  if (other !== undefined)
    return bad(
      `a tool was called that was not offered: ${excerpt(other)}`,
      "Serve Qwen3-Coder-Next: another model answers",
    );
  if (closer.test(text) || opener.test(text))
    return warn("pieces of a call's markup came as text beside it: a call may have been cut", valuesRemedy(facts));
  return undefined;
}

function uncalled({ text, reasoning }: Answered, { server }: Facts): Seen {
  if (opener.test(reasoning)) return bad("the call came as reasoning: a reasoning parser took it", server.reasoning);
  if (opener.test(text))
    return bad(
      `the call came as text (${JSON.stringify(text.trim().slice(0, 60))}): ${server.name} has no parser for it, or the wrong one`,
      server.calls,
    );
  if (text.trim() === "" && reasoning.trim() !== "")
    return bad("only reasoning came, and no call: a reasoning parser took it", server.reasoning);
  if (text.trim() === "")
    return bad("neither text nor a call came: a parser swallows the calls that it does not know", server.calls);
  return bad(
    `no call came, but the text ${JSON.stringify(text.trim().slice(0, 60))}: the tools did not reach the model, or it was not trained to call them`,
    `Serve Qwen3-Coder-Next with its own chat template. ${server.calls}`,
  );
}

/** What to do when a value is not as the model wrote it. */
export function valuesRemedy({ server, speculative }: Facts): string {
  return speculative
    ? `Speculative decoding is on, which is known to damage calls: start the server without it (vLLM: without \`--speculative-config\`). If it stays: ${server.values}`
    : server.values;
}

/** Undefined when it is no JSON object; nothing at all counts as an empty one. */
export function argumentsOf(call: RawCall): Record<string, unknown> | undefined {
  if (call.arguments.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(call.arguments);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function isMangled(call: RawCall): boolean {
  return [call.name.trim(), ...Object.keys(argumentsOf(call) ?? {})].some((word) => /[<>=\n]/.test(word));
}

function excerpt({ name, arguments: text }: RawCall): string {
  const line = JSON.stringify(`${name} ${text}`);
  return line.length > 120 ? `${line.slice(0, 119)}…` : line;
}
