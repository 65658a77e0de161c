import type { Settings } from "../src/settings.ts";
import { fencedText, inlineText } from "../src/text.ts";
import type { AgentEnd } from "./agent/loop.ts";
import { gaveUp } from "./outcome.ts";
import type { Outcome } from "./run.ts";

/** An attempt that ended without a change to publish: what happened, and what a person can do. */
export function endingOutcome(end: Exclude<AgentEnd, { end: "submitted" }>, limits: Settings["limits"]): Outcome {
  switch (end.end) {
    case "asked":
      return {
        outcome: "needs-input",
        cause: "question",
        detail: `${inlineText(end.question)}\n\nWithout an answer I would: ${inlineText(end.fallback)}`,
        pull: undefined,
      };
    case "cancelled":
      return { outcome: "cancelled", cause: undefined, detail: "", pull: undefined };
    case "out-of-steps":
      return gaveUp("out of steps", outOf("steps", limits));
    case "out-of-tokens":
      return gaveUp("out of tokens", outOf("tokens", limits));
    case "out-of-time":
      return gaveUp("out of time", outOf("minutes", limits));
    case "no-answer":
      return gaveUp("no answer", `The model stopped making tool calls.${said(end.text)} ${askOtherwise}`);
    case "format-errors":
      return gaveUp(
        "format errors",
        `The model's tool calls could not be read, time after time.${said(end.text)} The model server may parse them wrongly: the operator finds out with \`agent-fix doctor --model\`.`,
      );
    case "stuck":
      return gaveUp(
        "stuck",
        `I went round in circles and stopped. ${inlineText(end.fact)} It was: ${inlineText(end.call)}\n\n${askOtherwise}`,
      );
    case "context-exhausted":
      return gaveUp(
        "context exhausted",
        `The model's window of ${end.contextTokens} tokens is too small for this task: summing up did not make enough room to work in. Serve the model with a longer context, or ask for a smaller part of the task.`,
      );
    case "context-overflow":
      return gaveUp(
        "context overflow",
        `${inlineText(end.error.message)}\n\nThe conversation could not be made short enough for the model's window. Serve the model with a longer context, or ask for a smaller part of the task.`,
      );
    case "model-failed":
      return gaveUp(`model ${end.error.kind}`, end.error.message);
  }
}

/** What there is when an attempt gives up, added to its ending so that nothing of the work is lost. */
export function withWork(
  outcome: Outcome,
  { plan, rejection, patch }: { plan: readonly string[]; rejection: string | undefined; patch: string },
): Outcome {
  const parts = [
    outcome.detail,
    ...(rejection === undefined ? [] : [rejection]),
    ...(plan.length === 0
      ? []
      : [`How far the plan came:\n\n${plan.map((item) => `- ${inlineText(item)}`).join("\n")}`]),
    patch.trim() === ""
      ? "Nothing was changed yet."
      : folded("The change as it stands, which has not passed the checks", fencedText(patch, "diff")),
  ];
  return { ...outcome, detail: parts.join("\n\n") };
}

/** What the gate said last: its reason, what each check came to (`rows` is Markdown), and the end of the output. */
export function rejectionText({
  reason,
  rows,
  output,
}: {
  reason: string;
  rows: readonly string[];
  output: string;
}): string {
  const parts = [
    `My last submission did not pass: ${reason}.`,
    ...(rows.length === 0 ? [] : [rows.join("\n")]),
    folded("Last output", fencedText(output.slice(-6000))),
  ];
  return parts.join("\n\n");
}

function folded(summary: string, text: string): string {
  return `<details><summary>${summary}</summary>\n\n${text}\n\n</details>`;
}

function outOf(what: keyof Settings["limits"], limits: Settings["limits"]): string {
  return `I reached the limit of ${limits[what]} ${what} before a change was ready. Raise \`limits.${what}\` in \`.github/agent-fix.yml\`, or ask for a smaller part of the task.`;
}

function said(text: string): string {
  return text.trim() === "" ? "" : ` The last thing was: ${inlineText(text.slice(0, 300))}`;
}

const askOtherwise = "Say more in the issue, such as how to reproduce the problem or where in the code it is.";
