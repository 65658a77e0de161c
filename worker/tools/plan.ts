import { z } from "zod";
import { createTool } from "../agent/tool.ts";
import type { Tool } from "../agent/tool.ts";

const most = 8;

/** The plan is shown to people; it does not steer the run. */
export function createUpdatePlan({ onPlan }: { onPlan: (items: string[]) => Promise<void> }): Tool {
  return createTool({
    name: "update_plan",
    description:
      "Shows your plan to the people who wait for the result. Call it when you know what has to be done, and again when a step is done. It replaces the plan before it.",
    parameters: z.object({
      items: z
        .string()
        .describe("One step per line, at most 8 lines; begin a line with [x] when it is done, else with [ ]."),
    }),
    async call({ items }) {
      const lines = items
        .split("\n")
        .map(toItem)
        .filter((line) => line !== "");
      if (lines.length === 0) return { text: "The plan has no line. Write one step per line.", failed: true };
      if (lines.length > most)
        return {
          text: `The plan has ${lines.length} lines. Join steps until there are at most ${most}.`,
          failed: true,
        };
      await onPlan(lines);
      return { text: "The plan is shown. Go on with its next step." };
    },
  });
}

function toItem(line: string): string {
  return line
    .replace(/^\s*(?:[-*]|\d+[.)])\s+/, "")
    .trim()
    .slice(0, 200);
}
