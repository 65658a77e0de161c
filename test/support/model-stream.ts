import type { CallShape, Dialect } from "./model-dialects.ts";

/** What the model says in one answer. */
export interface Turn {
  text?: string;
  reasoning?: string;
  /** Arguments as a text are sent as they stand, so that they can be broken; an object is sent as the server's parser would. */
  calls?: readonly { name: string; arguments: string | Record<string, unknown>; id?: string }[];
  /** The longest answer was reached: `finish_reason` and count are what the server makes of that. */
  cut?: boolean;
  /** Instead of what the server counts. */
  usage?: { prompt_tokens?: number; completion_tokens?: number };
  /** Instead of what the server would say; null: no chunk tells one. */
  finish?: string | null;
}

interface Head {
  id: string;
  model: string;
  dialect: Dialect;
  call: CallShape;
}

interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
}

/** The events of an answer with the choice alone; the count and `[DONE]` come behind. */
export function choiceEvents(turn: Turn, head: Head): string[] {
  const { dialect } = head;
  const deltas: object[] = [
    { role: "assistant", content: dialect.firstContent },
    ...pieces(turn.reasoning ?? "").map((piece) => ({ [dialect.reasoning]: piece })),
    ...pieces(turn.text ?? "").map((piece) => ({ content: piece })),
    ...(turn.calls ?? []).flatMap((call, index) => callDeltas(call, index, head)),
  ];
  const finish = finishOf(turn, dialect);
  return [
    ...deltas.map((delta) => event(head, [{ index: 0, delta, finish_reason: null }])),
    ...(finish === null ? [] : [event(head, [{ index: 0, delta: {}, finish_reason: finish }])]),
  ];
}

/** The event that counts, which has no choice. */
export function usageEvent(head: Head, usage: Usage, cached: number | undefined): string {
  const details = cached === undefined ? {} : { prompt_tokens_details: { cached_tokens: cached } };
  return event(head, [], {
    usage: { ...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens, ...details },
  });
}

export const doneEvent = "data: [DONE]\n\n";

function event({ id, model }: Head, choices: object[], more: object = {}): string {
  const chunk = { id, object: "chat.completion.chunk", created: 1_770_000_000, model, choices, ...more };
  return `data: ${JSON.stringify(chunk)}\n\n`;
}

function callDeltas(call: NonNullable<Turn["calls"]>[number], index: number, head: Head): object[] {
  const { name, arguments: given } = call;
  const { dialect, call: shape } = head;
  const members = typeof given === "string" ? undefined : seenByParser(given, dialect);
  const text = typeof given === "string" ? given : JSON.stringify(members);
  const id = call.id ?? `${dialect.callId}${head.id}-${index}`;
  const opening = { index, id, type: "function" };
  if (shape === "whole") return [{ tool_calls: [{ ...opening, function: { name, arguments: text } }] }];
  const rest = shape === "name-first" ? [text] : shape === "members" ? memberPieces(members, text) : pieces(text);
  return [
    { tool_calls: [{ ...opening, function: { name, arguments: "" } }] },
    ...rest.map((piece) => ({ tool_calls: [{ index, function: { arguments: piece } }] })),
  ];
}

function seenByParser(given: Record<string, unknown>, { argument }: Dialect): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(given).map(([key, value]) => [key, typeof value === "string" ? argument(value) : value]),
  );
}

function memberPieces(members: Record<string, unknown> | undefined, text: string): string[] {
  if (members === undefined) return pieces(text);
  const inner = Object.entries(members).map(
    ([key, value], at) => `${at === 0 ? "" : ", "}${JSON.stringify(key)}: ${JSON.stringify(value)}`,
  );
  return ["{", ...inner, "}"];
}

function finishOf({ finish, cut, calls = [] }: Turn, dialect: Dialect): string | null {
  if (finish !== undefined) return finish;
  if (cut === true) return calls.length > 0 ? dialect.finishOfCutCall : "length";
  return calls.length > 0 ? "tool_calls" : "stop";
}

/** Long texts in few pieces, short ones in several. */
function pieces(text: string): string[] {
  const length = Math.max(12, Math.ceil(text.length / 20));
  return Array.from({ length: Math.ceil(text.length / length) }, (_, at) => text.slice(at * length, (at + 1) * length));
}
