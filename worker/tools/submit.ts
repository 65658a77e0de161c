import { z } from "zod";
import { createTool } from "../agent/tool.ts";
import type { Tool } from "../agent/tool.ts";
import { fencedText } from "../../src/text.ts";
import { renderPrompt } from "../prompts/render.ts";
import { cutText } from "./output.ts";

const field = z.string().trim().min(1, "it is empty");

export interface SubmitDeps {
  diff: (signal: AbortSignal) => Promise<string>;
  /** How many characters of the change are shown. */
  limit: number;
  /** `off`: the first call ends the attempt. Default: `on`. */
  review?: "on" | "off" | undefined;
  /** What is missing beside the change, told once. */
  obstacle?: ((change: string) => string | undefined) | undefined;
}

/** The first call shows the change and a check list, the second ends the attempt; then it begins anew. */
export function createSubmit({ diff, limit, review = "on", obstacle }: SubmitDeps): Tool {
  let reviewed = false;
  let isTold = false;
  return createTool({
    name: "submit",
    description:
      "Hands in the change in the working tree. The first call shows it to you with a check list, the second one ends your work. What you write here becomes the pull request.",
    parameters: z.object({
      title: field
        .max(120, "it is longer than 120 characters")
        .regex(/^[^\n]*$/, "it has more than one line")
        .describe("One line that says what the change does, such as: Replace every run of spaces in slugs."),
      cause: field.describe("What was wrong and why, with the place in the code."),
      change: field.describe("What you changed, how you tested it, and what you left open."),
    }),
    async call(submission, signal) {
      const missing = isTold ? undefined : obstacle?.((await diff(signal)).trim());
      if (missing !== undefined) {
        isTold = true;
        return { text: missing, failed: true };
      }
      if (reviewed || review === "off") {
        reviewed = false;
        return { text: "Submitted.", end: { end: "submitted", submission } };
      }
      const change = (await diff(signal)).trim();
      reviewed = true;
      if (change === "") return { text: renderPrompt("submit-empty", {}) };
      const shown = cutText(change, { limit, advice: "Look at the rest with git diff, file by file." });
      return { text: renderPrompt("submit-checklist", { diff: fencedText(shown, "diff") }) };
    },
  });
}
