import type { z } from "zod";
import type { Usage } from "../../src/runlog.ts";

/** A model behind a server, in our words. */
export interface ModelClient {
  /** One turn. Throws `ModelError` when the server refuses or stays away, and `signal.reason` when aborted. */
  reply(request: ModelRequest): Promise<Reply>;
  /** What is served and how many tokens a conversation may have; asked once. */
  describe(signal: AbortSignal): Promise<{ name: string; contextTokens: number }>;
}

export interface ModelRequest {
  messages: readonly Message[];
  tools: readonly ToolSpec[];
  signal: AbortSignal;
}

/** `Tool` as the model sees it: every parameter is a string, an integer or a boolean. */
export interface ToolSpec {
  name: string;
  description: string;
  parameters: z.ZodObject;
}

export type Message =
  | { role: "system" | "user"; text: string }
  | { role: "assistant"; text: string; calls: ToolCall[] }
  | { role: "tool"; callId: string; text: string };

export interface ToolCall {
  id: string;
  name: string;
  /** The text of a JSON object, exactly as it is sent back to the server. */
  arguments: string;
  /** Why the call must not run: what came was no JSON object, or the answer was cut before its end. */
  broken?: "not-an-object" | "cut";
}

export interface Reply {
  text: string;
  calls: ToolCall[];
  usage: Usage;
  /** The answer reached the limit of its length, so its last call may be incomplete. */
  truncated: boolean;
  /** Milliseconds lost to a server that was away or busy. */
  waitedMs: number;
}

export type ModelErrorKind = "away" | "refused" | "unknown-model" | "bad-request" | "overflow" | "server-error";

/** The model server did not do its part; the message names the setting and the remedy. */
export class ModelError extends Error {
  override name = "ModelError";
  readonly kind: ModelErrorKind;
  /** How long the server asked to be left alone. */
  readonly retryAfterMs: number | undefined;

  constructor(kind: ModelErrorKind, message: string, options: { cause?: unknown; retryAfterMs?: number } = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.kind = kind;
    this.retryAfterMs = options.retryAfterMs;
  }
}
