import { z } from "zod";
import { createTool } from "../agent/tool.ts";
import type { Tool } from "../agent/tool.ts";

/** Ends the attempt with a question to a person. */
export function createAsk(): Tool {
  return createTool({
    name: "ask",
    description:
      "Ends your work with a question to the person who gave the task. Only for a decision that the repository and the task leave open and that would be costly to get wrong.",
    parameters: z.object({
      question: z.string().trim().min(1, "it is empty").describe("What you need to know, and why."),
      default: z.string().trim().min(1, "it is empty").describe("What you would do without an answer."),
    }),
    call: async ({ question, default: fallback }) => ({
      text: "The question was passed on.",
      end: { end: "asked", questions: [{ question, fallback }] },
    }),
  });
}
