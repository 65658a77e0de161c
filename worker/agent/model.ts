import type { z } from "zod";
import type { TurnFacts, Usage } from "../../src/runlog.ts";

/** A model behind a server, in our words. */
export interface ModelClient {
  /** One turn. Throws `ModelError` when the server refuses or stays away, and `signal.reason` when aborted. */
  reply(request: ModelRequest): Promise<Reply>;
  /**
   * What is served and how many tokens a conversation may have; the server is asked once. After an overflow the number
   * is the one that the server named.
   */
  describe(signal: AbortSignal, onWaiting?: OnWaiting): Promise<{ name: string; contextTokens: number }>;
}

/** Told in a few words why a request waits, such as "its server is away", and `undefined` when it goes on. */
export type OnWaiting = (reason: string | undefined) => void;

export interface ModelRequest {
  messages: readonly Message[];
  tools: readonly ToolSpec[];
  signal: AbortSignal;
  /** The run's id, the same in all its requests: a router keeps them on one server by it. */
  session?: string;
  onWaiting?: OnWaiting;
  /** Told what had come of an answer that the signal cut off, where anything had. */
  onCut?: (text: string) => void;
}

/** `Tool` as the model sees it: every parameter is a string, an integer or a boolean. */
export interface ToolSpec {
  name: string;
  description: string;
  parameters: z.ZodObject;
}

export type Message =
  /** `origin`: it came from a person while the agent worked, or stands for messages that were taken out. */
  | { role: "system" | "user"; text: string; origin?: "person" | "summary" }
  | { role: "assistant"; text: string; calls: ToolCall[] }
  | { role: "tool"; callId: string; text: string };

export interface ToolCall {
  id: string;
  name: string;
  /** The text of a JSON object, exactly as it is sent back to the server. */
  arguments: string;
  /** Why the call must not run. */
  broken?: BrokenCall;
  /** The longest answer in tokens, where that is why it was cut. */
  cutAt?: number;
}

/**
 * What came was no JSON object; the answer was cut before the call's end; a name or key holds pieces of markup; the
 * server took a closing tag inside a value for the call's end.
 */
export type BrokenCall = "not-an-object" | "cut" | "malformed" | "cut-by-tag";

export interface Reply {
  text: string;
  /** What was said behind the calls, where no history has a place for it. */
  after?: string;
  calls: ToolCall[];
  usage: Usage;
  /** The answer reached the limit of its length, so its last call may be incomplete. */
  truncated: boolean;
  /** Milliseconds lost to a server that was away or busy. */
  waitedMs: number;
  /** The server's own word for why the answer ended, such as `stop`. */
  finish: string | undefined;
  /** How many of the calls were found in the text, where the server had left them. */
  recovered: number;
  /** The server took much less of the conversation than was sent, or more than it has room for: it has to be shortened. */
  shortened?: boolean;
  turn?: TurnFacts;
}

/** `away`: nobody takes requests; `stalled`: one was taken and not answered in time; `repetition`: it went round in circles. */
export type ModelErrorKind =
  | "away"
  | "stalled"
  | "refused"
  | "unknown-model"
  | "bad-request"
  | "overflow"
  | "server-error"
  | "repetition";

/** What a server says about a request that is too long, in tokens. */
export interface OverflowNumbers {
  limit?: number | undefined;
  prompt?: number | undefined;
  /** The prompt has that many, or more. */
  atLeast: boolean;
}

/** The model server did not do its part; the message names the setting and the remedy. */
export class ModelError extends Error {
  override name = "ModelError";
  readonly kind: ModelErrorKind;
  /** How long the server asked to be left alone. */
  readonly retryAfterMs: number | undefined;
  readonly overflow: OverflowNumbers | undefined;

  constructor(
    kind: ModelErrorKind,
    message: string,
    options: { cause?: unknown; retryAfterMs?: number; overflow?: OverflowNumbers } = {},
  ) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.kind = kind;
    this.retryAfterMs = options.retryAfterMs;
    this.overflow = options.overflow;
  }
}
