import { z } from "zod";
import { EngineAway } from "../../sandbox/docker.ts";
import { OutageError, messageOf } from "../../src/errors.ts";
import type { AgentEnd } from "./loop.ts";
import { disarm } from "./markup.ts";
import type { ToolCall, ToolSpec } from "./model.ts";

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

/**
 * Runs a call. Whatever is wrong with it becomes a text that tells the model the remedy; only an abort and the loss of
 * the sandbox or its engine, which the model cannot repair, are thrown.
 */
export async function callTool(tools: readonly Tool[], call: ToolCall, signal: AbortSignal): Promise<ToolResult> {
  const tool = tools.find((candidate) => candidate.name === call.name);
  if (tool === undefined) return failed(`There is no tool "${call.name}". The tools are: ${namesOf(tools)}.`);
  if (call.broken !== undefined) return failed(brokenText(call.broken, tool));
  try {
    const result = await tool.call(JSON.parse(call.arguments), signal);
    return { ...result, text: disarm(result.text) };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof OutageError || error instanceof EngineAway) throw error;
    if (error instanceof z.ZodError) return failed(`${problemsOf(error, tool)}\n${usageOf(tool)}`);
    return failed(`${call.name} did not work: ${messageOf(error)}`);
  }
}

/** One line about a call for the run log and the live view. */
export function summaryOf(call: ToolCall): string {
  const args: unknown = JSON.parse(call.arguments);
  const values = Object.values(args ?? {}).map(String);
  const line = values.join(" ").replaceAll(/\s+/g, " ").trim();
  return line.length > 160 ? `${line.slice(0, 159)}…` : line;
}

function failed(text: string): ToolResult {
  return { text: disarm(text), failed: true };
}

function namesOf(tools: readonly Tool[]): string {
  return tools.map((tool) => tool.name).join(", ");
}

function brokenText(broken: NonNullable<ToolCall["broken"]>, tool: Tool): string {
  return broken === "cut"
    ? `The call was not run: your answer was cut at its longest length, so the call may be incomplete. Send it again with less text, for example create a long file in several parts.`
    : `The call was not run: its arguments could not be read. ${usageOf(tool)}`;
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
  return `Call it in this form:\n<function=${tool.name}>\n${lines.join("\n")}\n</function>`;
}
