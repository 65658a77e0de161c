import type { Sandbox } from "../../sandbox/engine.ts";
import type { Tool } from "../agent/tool.ts";
import { createAsk } from "./ask.ts";
import { createBash } from "./bash.ts";
import { createEditor } from "./edit.ts";
import { outputLimit } from "./output.ts";
import { createUpdatePlan } from "./plan.ts";
import { createReply, unanswered } from "./reply.ts";
import type { Replies } from "./reply.ts";
import { createSubmit } from "./submit.ts";

export interface ToolDeps {
  sandbox: Pick<Sandbox, "exec" | "readFile" | "writeFile">;
  /** Absolute path of the checkout in the sandbox. */
  root: string;
  /** Folder in the sandbox, outside of the checkout, for outputs that are too long to be shown. */
  outputs: string;
  /** How many tokens the conversation may have: what a tool shows at once depends on it. */
  contextTokens: number;
  /** The change in the working tree against its base, as text. */
  diff: (signal: AbortSignal) => Promise<string>;
  onPlan: (items: string[]) => Promise<void>;
  /** Of a review or a question: what has to be answered. Other tasks may ask instead. */
  replies?: Replies | undefined;
  /** Whether the first `submit` shows the change for a last look; default: `on`. */
  review?: "on" | "off";
}

/** The tools of one attempt, always in the same order: servers keep them in their prefix cache. */
export function createTools({ contextTokens, ...rest }: ToolDeps): Tool[] {
  const deps = { ...rest, limit: outputLimit(contextTokens) };
  const { replies } = deps;
  const speak = replies === undefined ? createAsk() : createReply(replies);
  const obstacle = replies && ((change: string) => unanswered(replies, change));
  return [createBash(deps), createEditor(deps), createUpdatePlan(deps), speak, createSubmit({ ...deps, obstacle })];
}
