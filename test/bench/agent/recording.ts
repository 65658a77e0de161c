import type { Sandbox } from "../../../sandbox/engine.ts";
import type { AgentTask } from "../../../worker/agent/loop.ts";
import type { Message } from "../../../worker/agent/model.ts";
import type { Tool } from "../../../worker/agent/tool.ts";
import { issueMessages } from "../../../worker/prompts/messages.ts";
import { cutText, outputLimit } from "../../../worker/tools/output.ts";
import { createTools } from "../../../worker/tools/tools.ts";
import type { Fault } from "../../support/model-faults.ts";
import type { Turn } from "../../support/model-stream.ts";
import { lineOf, pick, sentenceOf } from "./words.ts";

/** One answer of the model, or what its server did instead, and what the calls in it printed. */
export interface RecordedStep {
  answer: Turn | { fault: Fault };
  outputs: string[];
  /** A person says it before this answer. */
  comment?: string;
}

const root = "/workspace/repo";

/**
 * A run of so many steps on an issue, always the same: it reads, edits and tests, and now and then goes wrong as real
 * runs do. 150 steps are about 100,000 tokens.
 */
export function recordRun(steps: number): RecordedStep[] {
  const work = Array.from({ length: steps - 2 }, (_, step) => [...mishapsAt(step), workAt(step)]).flat();
  return [...work, submitStep("The check list"), submitStep("Submitted.")];
}

/** The first messages of the run, with the product's own prompts. */
export function taskMessages(contextTokens: number): Message[] {
  const check = { name: "test", run: "npm test", required: true };
  return issueMessages({
    repo: "example/titles",
    root,
    title: "Titles of several words lose their last word",
    body: textOf(1, 25),
    checks: [check],
    baseline: "npm test: passed in 12 seconds",
    hosts: [],
    instructions: [{ name: "AGENTS.md", text: textOf(2, 60) }],
    nonce: "5f0c2a91",
    contextTokens,
  });
}

/** The product's tools, which return what was recorded; `from`: the first step whose outputs are left. */
export function recordedTools(recording: readonly RecordedStep[], contextTokens: number, from = 0): Tool[] {
  const outputs = recording.slice(from).flatMap((step) => step.outputs);
  const limit = outputLimit(contextTokens);
  let next = 0;
  const tools = createTools({
    sandbox: noSandbox,
    root,
    outputs: "/workspace/home/outputs",
    contextTokens,
    diff: async () => "",
    onPlan: async () => {},
  });
  return tools.map((tool) => ({
    ...tool,
    async call() {
      const shown = cutText(outputs[next++] ?? "", { limit, advice: "Narrow the command." });
      // A text of its own, as that of a real tool is: what a run holds is measured.
      const text = Buffer.from(shown).toString();
      if (tool.name !== "submit" || text !== "Submitted.") return { text };
      return { text, end: { end: "submitted", submission: { title: "", cause: "", change: "" } } };
    },
  }));
}

/** Comments in the order in which they arrive, one look for each answer. */
export function recordedInbox(recording: readonly RecordedStep[], from = 0): NonNullable<AgentTask["inbox"]> {
  const comments = recording.slice(from).filter(({ answer }) => !("fault" in answer));
  return async () => {
    const comment = comments.shift()?.comment;
    return comment === undefined ? [] : [comment];
  };
}

const noSandbox: Pick<Sandbox, "exec" | "readFile" | "writeFile"> = {
  exec: async () => Promise.reject(new Error("Nothing runs in a recording")),
  readFile: async () => Promise.reject(new Error("Nothing is read in a recording")),
  writeFile: async () => Promise.reject(new Error("Nothing is written in a recording")),
};

/** What goes wrong before a step. */
function mishapsAt(step: number): RecordedStep[] {
  switch (step % 40) {
    case 12:
      return [{ answer: { fault: { kind: "status", status: 500 } }, outputs: [] }];
    case 17:
      return [{ answer: { text: "" }, outputs: [] }];
    case 23:
      return [{ answer: { text: `${sentenceOf(step)} Let me look at it:` }, outputs: [] }];
    case 29:
      // No tool runs, so that there is no output.
      return [{ answer: { text: "I look.", calls: [{ name: "bash", arguments: '{"command": "cat' }] }, outputs: [] }];
    case 34: {
      const text = `I list it.\n\n<function=bash>\n<parameter=command>\nls -la src/${step}\n</parameter>\n</function>\n</tool_call>`;
      return [{ answer: { text }, outputs: [textOf(step, 12)] }];
    }
    default:
      return [];
  }
}

function workAt(step: number): RecordedStep {
  const path = `${root}/src/${pick(step, ["title", "words", "slug", "render", "format"])}-${step % 17}.ts`;
  const kinds =
    step % 30 === 0 ? [planStep] : step < 50 ? [viewStep, grepStep, readBoth] : [editStep, testStep, viewStep];
  const recorded = pick(step + 7, kinds)(step, path);
  return step % 70 === 60 ? { ...recorded, comment: sentenceOf(step) } : recorded;
}

function viewStep(step: number, path: string): RecordedStep {
  const from = 1 + ((step * 37) % 400);
  const lines = 12 + ((step * 29) % 60);
  const args = { command: "view", path, view_range: `${from}-${from + lines}` };
  return { answer: say(step, [{ name: "str_replace_editor", arguments: args }]), outputs: [textOf(step, lines)] };
}

function grepStep(step: number, path: string): RecordedStep {
  const command = `cd ${root} && grep -rn "${lineOf(step).trim().slice(0, 20)}" src | head -${30 + (step % 30)}`;
  const output = textOf(step, 4 + ((step * 13) % 30), `${path}:${step}:`);
  return { answer: say(step, [{ name: "bash", arguments: { command } }]), outputs: [output] };
}

function readBoth(step: number, path: string): RecordedStep {
  const one = viewStep(step, path);
  const other = grepStep(step, path);
  const calls = [one, other].flatMap(({ answer }) => ("fault" in answer ? [] : (answer.calls ?? [])));
  return { answer: say(step, calls), outputs: [...one.outputs, ...other.outputs] };
}

function editStep(step: number, path: string): RecordedStep {
  const old = textOf(step, 3 + (step % 8));
  const args = { command: "str_replace", path, old_str: old, new_str: `${old}\n${textOf(step + 1, 2 + (step % 9))}` };
  return { answer: say(step, [{ name: "str_replace_editor", arguments: args }]), outputs: [textOf(step, 14)] };
}

function testStep(step: number, path: string): RecordedStep {
  const command = `cd ${root} && npm test -- ${path.replace("src", "test")} 2>&1 | tail -${40 + step}`;
  const output = textOf(step, 8 + ((step * 31) % 78), "ok ");
  return { answer: say(step, [{ name: "bash", arguments: { command, timeout_seconds: 300 } }]), outputs: [output] };
}

function planStep(step: number): RecordedStep {
  const items = Array.from({ length: 5 }, (_, item) => `- [ ] ${sentenceOf(step + item)}`).join("\n");
  return { answer: say(step, [{ name: "update_plan", arguments: { items } }]), outputs: ["The plan is shown."] };
}

function submitStep(output: string): RecordedStep {
  const submission = { title: "Keep the last word", cause: sentenceOf(1), change: sentenceOf(2) };
  return { answer: say(3, [{ name: "submit", arguments: submission }]), outputs: [output] };
}

function say(step: number, calls: NonNullable<Turn["calls"]>): Turn {
  return { text: `${sentenceOf(step)} ${sentenceOf(step + 1000)}`, calls };
}

function textOf(seed: number, lines: number, head = ""): string {
  return Array.from({ length: lines }, (_, line) => `${head}${lineOf(seed * 1000 + line)}`).join("\n");
}
