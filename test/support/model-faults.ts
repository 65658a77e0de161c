import type { Turn } from "./model-stream.ts";

/** What goes wrong with one answer. */
export type Fault =
  /** Without a body: an error body of the server's own with this message. */
  | { kind: "status"; status: number; message?: string; headers?: Record<string, string>; body?: string }
  /** Too long, in the server's words; `words`: which of them, 0 by default. */
  | { kind: "overflow"; words?: number }
  /** The connection is broken before a byte of an answer. */
  | { kind: "refuse" }
  /** Nothing comes any more after so many events; `silent`: not even a status. */
  | { kind: "silent" }
  | { kind: "hang"; after: number }
  /** The connection is broken after so many events. */
  | { kind: "cut"; after: number }
  /** The stream ends in order after so many events, but without a word of it. */
  | { kind: "early-end"; after: number }
  | { kind: "error-event"; after: number; message: string; code?: number }
  | { kind: "garbage" }
  | { kind: "empty-choices" }
  /** The same line over and over, to the longest answer. */
  | { kind: "endless" }
  /** The turn's calls are sent otherwise; a turn without calls gets one of `bash`. */
  | { kind: "bad-arguments" }
  | { kind: "wrong-tool" }
  | { kind: "huge-argument"; bytes: number };

/** What the fault makes of the turn's events; `ends`: how the answer is over after them. */
export interface Damaged {
  events: string[];
  ends: "in order" | "never" | "broken";
}

/** A turn as a fault of what the model says leaves it. */
export function damagedTurn(turn: Turn, fault: Fault): Turn {
  const calls = turn.calls ?? [{ name: "bash", arguments: { command: "true" } }];
  if (fault.kind === "bad-arguments")
    return {
      ...turn,
      calls: calls.map((call) => ({ ...call, arguments: textOf(call.arguments).replace(/"?\s*\}$/, "") })),
    };
  if (fault.kind === "wrong-tool") return { ...turn, calls: calls.map((call) => ({ ...call, name: "no_such_tool" })) };
  if (fault.kind === "endless") return { text: "I look at the file again, and again at the same place.\n".repeat(50) };
  if (fault.kind === "huge-argument")
    return { ...turn, calls: calls.map((call) => ({ ...call, arguments: { command: "x".repeat(fault.bytes) } })) };
  return turn;
}

/** The events of an answer as a fault of the server leaves them. */
export function damagedEvents(events: readonly string[], fault: Fault | undefined): Damaged {
  if (fault?.kind === "garbage")
    return { events: ['data: {"id":"x","choices":[{"del\n\n', "<html>502</html>\n\n"], ends: "in order" };
  if (fault?.kind === "empty-choices")
    return { events: ['data: {"id":"x","choices":[]}\n\n', "data: [DONE]\n\n"], ends: "in order" };
  if (fault === undefined || !("after" in fault)) return { events: [...events], ends: "in order" };
  const sent = events.slice(0, fault.after);
  if (fault.kind !== "error-event") return { events: sent, ends: endings[fault.kind] };
  const error = { message: fault.message, type: "InternalServerError", param: null, code: fault.code ?? 500 };
  return { events: [...sent, `data: ${JSON.stringify({ error })}\n\n`, "data: [DONE]\n\n"], ends: "in order" };
}

const endings = { hang: "never", cut: "broken", "early-end": "in order" } as const;

function textOf(given: string | Record<string, unknown>): string {
  return typeof given === "string" ? given : JSON.stringify(given);
}
