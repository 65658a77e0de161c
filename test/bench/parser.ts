import { readFileSync } from "node:fs";
import { join } from "node:path";
import { recoverToolCalls } from "../../worker/agent/recover.ts";
import type { CallableTool } from "../../worker/agent/recover.ts";
import type { Bench } from "./harness.ts";

const { tools } = JSON.parse(readFileSync(join(import.meta.dirname, "../worker/agent/tool-calls.json"), "utf8")) as {
  tools: CallableTool[];
};
const call = "<tool_call>\n<function=bash>\n<parameter=command>\nls\n</parameter>\n</function>\n</tool_call>\n";
const sizes = ["256 KB", "512 KB", "1 MB"];
const least = 2 ** 18;

/** What a value, a name, a fence or JSON that never ends, or ends over and over, looks like. */
const hostile: Record<string, string> = {
  "openers of calls": "<tool_call>\n<function=bash>\n<parameter=command>\n",
  "openers of JSON": '<tool_call>{"',
  "ends in a value": "</parameter>\n</function>\n</tool_call>\nand ",
  "calls in a value": `<tool_call>\n<function=write_file>\n<parameter=content>\n${call}`,
  parameters: "<parameter=path>\nx\n</parameter>\n",
  "names without an end": "<function=bash",
  fences: "```\n<tool_call>\n",
  angles: "<",
  blanks: " \n",
};

/** How the time for finding calls in a text grows when the text is twice as long. */
export async function parser(): Promise<Bench[]> {
  return Object.entries(hostile).map(([what, piece]) => ({
    rounds: 30,
    contenders: Object.fromEntries(
      sizes.map((size, doubled) => {
        const length = least * 2 ** doubled;
        const raw = `<tool_call>\n<function=bash>\n<parameter=command>\n${piece.repeat(length / piece.length)}`;
        return [size, async () => timeOf(raw)];
      }),
    ),
    rows: sizes.slice(1).map((size, index) => ({
      measure: `finding calls in ${size} of ${what}`,
      unit: "ms",
      value: size,
      beside: sizes[index] ?? size,
      goal: { atMost: 2.3 },
    })),
  }));
}

/** The fastest of a few: the collector of garbage comes into some, and has more to do the more is in use. */
function timeOf(raw: string): number {
  const times = Array.from({ length: 12 }, () => {
    const start = performance.now();
    recoverToolCalls(raw, tools);
    return performance.now() - start;
  });
  return Math.min(...times);
}
