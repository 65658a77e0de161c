import { z } from "zod";
import { EngineAway } from "../../sandbox/docker.ts";
import { OutageError, messageOf } from "../../src/errors.ts";
import { coerce, takenBy, toolCalled } from "./coerce.ts";
import { isRecord, parseJson } from "./json-text.ts";
import type { AgentEnd } from "./loop.ts";
import { disarm } from "./markup.ts";
import type { BrokenCall, ToolCall, ToolSpec } from "./model.ts";

export interface Tool extends ToolSpec {
  call(args: unknown, signal: AbortSignal): Promise<ToolResult>;
}

/** What the model reads; `failed` says that the tool did not do what was asked; `end` ends the attempt. */
export type ToolResult = { text: string; failed?: boolean } | { text: string; end: AgentEnd };

/** A tool whose arguments are checked against its parameters before it runs. */
export function createTool<Parameters extends z.ZodObject>(definition: {
  name: string;
  description: string;
  parameters: Parameters;
  call(args: z.output<Parameters>, signal: AbortSignal): Promise<ToolResult>;
}): Tool {
  const { name, description, parameters } = definition;
  return {
    name,
    description,
    parameters,
    call: async (args, signal) => definition.call(parameters.parse(args), signal),
  };
}

/** What came of a call. */
export type CallResult = ToolResult & {
  /** What had to be put right before the tool could run, such as `aliased cmd` or `coerced timeout_seconds`. */
  repaired?: string[];
  /** Why no tool ran. */
  refused?: "unknown-tool" | "wrong-arguments" | BrokenCall;
};

/**
 * Runs a call, after what is plainly meant was put right in it. Whatever else is wrong becomes a text that tells the
 * model the remedy; only an abort and the loss of the sandbox or its engine, which the model cannot repair, are thrown.
 */
export async function callTool(tools: readonly Tool[], call: ToolCall, signal: AbortSignal): Promise<CallResult> {
  const tool = toolCalled(tools, call.name);
  if (tool === undefined) {
    const text = `There is no tool "${short(call.name)}". The tools are: ${namesOf(tools)}.`;
    return { ...failed(text), refused: "unknown-tool" };
  }
  const { broken } = call;
  if (broken !== undefined) return { ...failed(brokenText({ ...call, broken }, tool)), refused: broken };
  const { args, repaired, dropped } = coerce(parseArguments(call), parametersOf(tool));
  const done = [...(tool.name === call.name ? [] : [`aliased ${call.name}`]), ...repaired, ...dropped.map(noteOf)];
  const notes = done.length === 0 ? {} : { repaired: done };
  try {
    const result = await tool.call(args, signal);
    return { ...result, text: disarm(`${result.text}${leftOut(dropped, tool)}`), ...notes };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof OutageError || error instanceof EngineAway) throw error;
    if (error instanceof z.ZodError)
      return {
        ...failed(`${problemsOf(error, tool)}${leftOut(dropped, tool)}\n${usageOf(tool)}`),
        ...notes,
        refused: "wrong-arguments",
      };
    return { ...failed(`${tool.name} did not work: ${messageOf(error)}`), ...notes };
  }
}

/** One line about a call for the run log and the live view. */
export function summaryOf(call: ToolCall): string {
  const args: unknown = JSON.parse(call.arguments);
  const values = Object.values(args ?? {}).map((value) => String(value).slice(0, 2000));
  const line = values.join(" ").replaceAll(/\s+/g, " ").trim();
  return line.length > 160 ? `${line.slice(0, 159)}…` : line;
}

const known = new WeakMap<z.ZodObject, ReturnType<typeof takenBy>>();

/** Read once for each tool: making its schema takes longer than most calls. */
function parametersOf({ parameters }: Tool): ReturnType<typeof takenBy> {
  const taken = known.get(parameters) ?? takenBy(z.toJSONSchema(parameters, { io: "input" }));
  known.set(parameters, taken);
  return taken;
}

function failed(text: string): ToolResult {
  return { text: disarm(text), failed: true };
}

function namesOf(tools: readonly Tool[]): string {
  return tools.map((tool) => tool.name).join(", ");
}

function parseArguments(call: ToolCall): Record<string, unknown> {
  const args = parseJson(call.arguments);
  return isRecord(args) ? args : {};
}

function noteOf(parameter: string): string {
  return `dropped ${short(parameter)}`;
}

function leftOut(parameters: readonly string[], tool: Tool): string {
  if (parameters.length === 0) return "";
  const names = parameters.slice(0, 5).map((name) => `"${short(name)}"`);
  return `\n[Left out, since ${tool.name} has no such parameter: ${names.join(", ")}.]`;
}

function short(text: string): string {
  return text.length > 40 ? `${text.slice(0, 39)}…` : text;
}

function brokenText({ broken, cutAt }: ToolCall & { broken: BrokenCall }, tool: Tool): string {
  const length = cutAt === undefined ? "" : ` of ${cutAt} tokens`;
  switch (broken) {
    case "cut":
      return `${tool.name} was not run: the call was cut before its end, as happens when an answer reaches its longest length${length}. Send it again with less text: write a long file in parts.`;
    case "malformed":
      return `${tool.name} was not run: a tag of the call was not well formed, so that its name or the name of a parameter has pieces of tags in it. ${usageOf(tool)}`;
    case "not-an-object":
      return `${tool.name} was not run: its arguments could not be read. ${usageOf(tool)}`;
    case "cut-by-tag":
      return `${tool.name} was not run: one of its values has a closing tag of a call in it, such as </parameter> or </function>, and the value was cut there. Nothing can be escaped in a value. Where a text must have such a tag in it, write ‹ for the < of the tag, as in ‹/parameter>, ‹/function> or ‹/tool_call>, and it becomes a real <. Or write the text by a script that joins the tag from two strings, such as '<' + '/function>'.`;
  }
}

function problemsOf(error: z.ZodError, tool: Tool): string {
  const problems = error.issues.map((issue) => {
    const name = issue.path.join(".");
    const missing = issue.code === "invalid_type" && issue.message.endsWith("received undefined");
    return missing ? `The parameter "${name}" is missing.` : `The parameter "${name}" is wrong: ${issue.message}.`;
  });
  return `${tool.name} was not run. ${problems.join(" ")}`;
}

function usageOf(tool: Tool): string {
  const shape = Object.entries(tool.parameters.shape);
  const lines = shape.map(([name, schema]) => {
    const optional = z.safeParse(schema, undefined).success;
    return `<parameter=${name}>\n(${optional ? "optional" : "required"})\n</parameter>`;
  });
  return `Call it in this form, inside tool_call tags:\n<function=${tool.name}>\n${lines.join("\n")}\n</function>`;
}
