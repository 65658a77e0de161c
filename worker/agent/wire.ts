import type { Message } from "./model.ts";
import type { WireTool } from "./schema.ts";

/** Not every server takes these: they are left out once it has refused them by name. */
export interface Extensions {
  fields(): Partial<Optional>;
  /** Whether the text of a refusal names one that was sent; it is sent no more. */
  refusedBy(text: string): boolean;
}

interface Optional {
  top_k: number;
  stream_options: { include_usage: boolean };
  priority: number;
}

const usual = {
  // Not in OpenAI's own interface: vLLM, SGLang and llama.cpp read it from the body.
  top_k: 40,
  stream_options: { include_usage: true },
};

export function createExtensions(priority?: number): Extensions {
  const sent: Partial<Optional> = { ...usual, ...(priority !== undefined && { priority }) };
  return {
    fields: () => sent,
    refusedBy(text) {
      const named = Object.keys(sent).find((name) => text.includes(name));
      if (named === "top_k" || named === "stream_options" || named === "priority") return delete sent[named];
      return false;
    },
  };
}

export interface RequestParts {
  model: string;
  messages: readonly Message[];
  tools: readonly WireTool[];
  maxTokens: number;
}

/** The body of a request, with the sampling that the model's makers recommend. */
export function toBody({ model, messages, tools, maxTokens }: RequestParts, extensions: Extensions) {
  return {
    model,
    messages: messages.map(toWire),
    ...(tools.length > 0 ? { tools: [...tools] } : {}),
    temperature: 1,
    top_p: 0.95,
    max_tokens: maxTokens,
    stream: true as const,
    ...extensions.fields(),
  };
}

/** Writes a body down as `JSON.stringify` would; a message, which a run sends again and again, only the first time. */
export type Encode = (parts: RequestParts, extensions: Extensions) => Uint8Array;

export function createEncode(): Encode {
  // `Buffer.from` would put what is kept beside what is not, and keep both.
  const encoder = new TextEncoder();
  /** Each with a comma before it. */
  const known = new WeakMap<Message, Uint8Array>();
  function bytesOf(message: Message): Uint8Array {
    const bytes = known.get(message) ?? encoder.encode(`,${JSON.stringify(toWire(message))}`);
    known.set(message, bytes);
    return bytes;
  }
  return (parts, extensions) => {
    const { model, messages: _none, ...rest } = toBody({ ...parts, messages: [] }, extensions);
    const [first = new Uint8Array(), ...others] = parts.messages.map(bytesOf);
    const head = encoder.encode(`{"model":${JSON.stringify(model)},"messages":[`);
    const tail = encoder.encode(`],${JSON.stringify(rest).slice(1)}`);
    return Buffer.concat([head, first.subarray(1), ...others, tail]);
  };
}

/** `session` keeps a run on one server behind a router. */
export function toHeaders(requestId: string, session: string | undefined): Record<string, string> {
  return { "X-Request-Id": requestId, ...(session === undefined ? {} : { "x-session-id": session }) };
}

/** A message in OpenAI's form. */
export function toWire(message: Message) {
  switch (message.role) {
    case "tool":
      return { role: "tool" as const, tool_call_id: message.callId, content: message.text };
    case "assistant": {
      const { text, calls } = message;
      const wire = calls.map((call) => ({
        id: call.id,
        type: "function" as const,
        function: { name: call.name, arguments: call.arguments },
      }));
      return { role: "assistant" as const, content: text, ...(wire.length > 0 ? { tool_calls: wire } : {}) };
    }
    case "system":
      return { role: "system" as const, content: message.text };
    case "user":
      return { role: "user" as const, content: message.text };
  }
}
