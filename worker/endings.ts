import type { Submission } from "../src/runlog.ts";
import type { Settings } from "../src/settings.ts";
import { fencedText, inlineText } from "../src/text.ts";
import type { AgentEnd } from "./agent/loop.ts";
import type { ModelError } from "./agent/model.ts";
import { bullets } from "./body.ts";
import { gaveUp } from "./outcome.ts";
import type { Outcome } from "./run.ts";

/** An attempt that ended without a change to publish: what happened, and what a person can do. */
export function endingOutcome(end: Exclude<AgentEnd, { end: "submitted" }>, limits: Settings["limits"]): Outcome {
  switch (end.end) {
    case "asked":
      return { outcome: "needs-input", cause: "question", detail: questionsText(end.questions), pull: undefined };
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
        `The model's tool calls could not be parsed, time after time.${said(end.text)} The model server may have the wrong parser (\`qwen3_coder\` is the right one) or damage them: the operator finds out with \`agent-fix doctor --model\`.`,
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
      return gaveUp(`model ${end.error.kind}`, `${modelFailure(end.error)}. ${end.error.message}`);
  }
}

/** In the words of the person who asked; the error's own are the operator's. */
function modelFailure({ kind }: ModelError): string {
  switch (kind) {
    case "away":
    case "stalled":
    case "server-error":
      return "The model endpoint did not answer, also when it was asked again, so I stopped waiting for it";
    case "refused":
      return "The model endpoint refused the key, which an admin must put right";
    case "unknown-model":
      return "The model endpoint does not serve the model, which an admin must put right";
    case "bad-request":
    case "overflow":
      return "The model endpoint did not accept the request, which an admin must look into";
    case "repetition":
      return "The model repeated the same text over and over, also when it was asked again";
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
  const parts = [`**${inlineText(title)}**`, inlineText(cause), bullets(change)];
  return { outcome: "needs-input", cause: "plan", detail: parts.join("\n\n"), pull: undefined };
}

/** What the status comment says while the model is waited for. */
export function waitingText(reason: string, { step, since }: { step: number; since: Date }): string {
  const time = since.toISOString().slice(11, 16);
  return `waiting for the model since ${time} UTC: ${reason}. This costs no limit, and I continue at step ${step} when it is back`;
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
