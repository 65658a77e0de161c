import type { Sandbox } from "../../sandbox/engine.ts";
import type { Tool } from "../agent/tool.ts";
import { createAsk } from "./ask.ts";
import { createBash } from "./bash.ts";
import { createEditor } from "./edit.ts";
import { createUpdatePlan } from "./plan.ts";
import { createSubmit } from "./submit.ts";

export type TaskKind = "issue" | "review" | "maintenance";

export interface ToolDeps {
  sandbox: Pick<Sandbox, "exec" | "readFile" | "writeFile">;
  /** Absolute path of the checkout in the sandbox. */
  root: string;
  /** The change in the working tree against its base, as text. */
  diff: (signal: AbortSignal) => Promise<string>;
  onPlan: (items: string[]) => Promise<void>;
  kind: TaskKind;
}

/** The tools of one attempt, always in the same order: servers keep them in their prefix cache. */
export function createTools(deps: ToolDeps): Tool[] {
  const ask = deps.kind === "review" ? [] : [createAsk()];
  return [createBash(deps), createEditor(deps), createUpdatePlan(deps), ...ask, createSubmit(deps)];
}
