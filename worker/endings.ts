import type { Submission } from "../src/runlog.ts";
import type { Settings } from "../src/settings.ts";
import { fencedText, inlineText } from "../src/text.ts";
import type { AgentEnd } from "./agent/loop.ts";
import { bullets } from "./body.ts";
import { cancelled, gaveUp, needsInput } from "./outcome.ts";
import { planLine } from "./progress.ts";
import type { Outcome } from "./run.ts";

/** An attempt that ended without a change to publish: what happened, and what a person can do. */
export function endingOutcome(end: Exclude<AgentEnd, { end: "submitted" }>, limits: Settings["limits"]): Outcome {
  switch (end.end) {
    case "asked":
      return needsInput("question", questionsText(end.questions));
    case "cancelled":
      return cancelled(undefined);
    case "out-of-steps":
      return gaveUp("out of steps", outOf("steps", limits));
    case "out-of-tokens":
      return gaveUp("out of tokens", outOf("tokens", limits));
    case "out-of-time":
      return gaveUp("out of time", outOf("minutes", limits));
    case "no-answer":
      return gaveUp(
        "no answer",
        `It stopped making tool calls, also when it was reminded.${said(end.text)} ${askOtherwise}`,
      );
    case "format-errors":
      return gaveUp(
        "format errors",
        `${said(end.text)} The model server may have the wrong parser (\`qwen3_coder\` is the right one) or damage them: the operator finds out with \`agent-fix doctor --model\`.`.trim(),
      );
    case "stuck":
      return gaveUp("stuck", `${inlineText(end.fact)} It was: ${inlineText(end.call)}\n\n${askOtherwise}`);
    case "context-exhausted":
      return gaveUp(
        "context exhausted",
        `It has ${end.contextTokens} tokens. Serve the model with a longer context, or ask for a smaller part of the task.`,
      );
    case "context-overflow":
      return gaveUp(
        "context overflow",
        `${inlineText(end.error.message)}\n\nServe the model with a longer context, or ask for a smaller part of the task.`,
      );
    case "model-failed":
      return gaveUp(`model ${end.error.kind}`, fencedText(end.error.message));
  }
}

function questionsText(questions: Extract<AgentEnd, { end: "asked" }>["questions"]): string {
  const lines = questions.map(({ question, fallback }) => ({
    question: inlineText(question),
    fallback: `Without an answer I would: ${inlineText(fallback)}`,
  }));
  const [first, ...others] = lines;
  if (first !== undefined && others.length === 0) return `${first.question}\n\n${first.fallback}`;
  return lines.map(({ question, fallback }, index) => `${index + 1}. ${question}\n\n   ${fallback}`).join("\n");
}

/** A plan that waits for a person; what it says is the model's. */
export function planOutcome({ title, cause, change }: Submission): Outcome {
  // Of a title without a visible character the marks alone would be a rule.
  const parts = [`**${inlineText(title) || "Plan"}**`, inlineText(cause), bullets(change)];
  return needsInput("plan", parts.join("\n\n"));
}

/** What there is when an attempt gives up, added to its ending so that nothing of the work is lost. */
export function withWork(
  outcome: Outcome,
  { plan, rejection, patch }: { plan: readonly string[]; rejection: string | undefined; patch: string },
): Outcome {
  const parts = [
    outcome.detail,
    ...(rejection === undefined ? [] : [rejection]),
    ...(plan.length === 0 ? [] : [`How far the plan came:\n\n${plan.map(planLine).join("\n")}`]),
    patch.trim() === ""
      ? "Nothing was changed yet."
      : folded("The change as it stands, which has not passed the checks", fencedText(patch.trimEnd(), "diff")),
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
  return `The limit is ${limits[what]} ${what}. Raise \`limits.${what}\` in \`.github/agent-fix.yml\`, or ask for a smaller part of the task.`;
}

function said(text: string): string {
  return text.trim() === "" ? "" : ` The last thing was: ${inlineText(text.slice(0, 300))}`;
}

const askOtherwise = "Say more in the issue, such as how to reproduce the problem or where in the code it is.";
