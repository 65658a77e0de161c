import { z } from "zod";
import type { ToolSpec } from "./model.ts";

/** A tool as it goes over the wire, byte-identical in every request of a run. */
export interface WireTool {
  type: "function";
  function: { name: string; description: string; strict?: true; parameters: Record<string, unknown> };
}

const parameter = z.object({
  type: z.enum(["string", "integer", "boolean"]),
  description: z.string().optional(),
  enum: z.array(z.string()).optional(),
});
const parameters = z.object({
  type: z.literal("object"),
  properties: z.record(z.string(), parameter),
  required: z.array(z.string()).default([]),
});

/**
 * `wireTools` that converts a list of tools once, since a run sends the same one with every request. `strict` asks the
 * server to sample calls by their schema, which few do, and some do wrongly.
 */
export function createWireTools(strict = false): (tools: readonly ToolSpec[]) => WireTool[] {
  const known = new WeakMap<readonly ToolSpec[], WireTool[]>();
  return (tools) => {
    const wire = known.get(tools) ?? wireTools(tools).map((tool) => (strict ? strictly(tool) : tool));
    known.set(tools, wire);
    return wire;
  };
}

/** Keeps the keys that help the model: every other one would be rendered into the prompt as a tag of its own. */
export function wireTools(tools: readonly ToolSpec[]): WireTool[] {
  return tools.map(({ name, description, parameters: schema }) => ({
    type: "function",
    function: { name, description, parameters: parameters.parse(z.toJSONSchema(schema, { io: "input" })) },
  }));
}

function strictly({ type, function: { parameters: taken, ...rest } }: WireTool): WireTool {
  return { type, function: { ...rest, strict: true, parameters: { ...taken, additionalProperties: false } } };
}
