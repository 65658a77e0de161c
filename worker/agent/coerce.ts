import { isRecord, parseJson, toJson } from "./json-text.ts";

/** What a tool takes, from its JSON Schema. */
export interface Taken {
  properties: Readonly<Record<string, unknown>>;
  required: readonly string[];
}

type Kind = "null" | "integer" | "number" | "boolean" | "object" | "array" | "string";

// Where a value could be of several kinds, the servers take the first of them that fits.
const kinds: readonly Kind[] = ["null", "integer", "number", "boolean", "object", "array", "string"];
const aliases: Readonly<Record<string, readonly string[]>> = {
  cmd: ["command"],
  file_path: ["path"],
  filename: ["path"],
  filepath: ["path"],
  old_str: ["old_string"],
  old_string: ["old_str"],
  new_str: ["new_string"],
  new_string: ["new_str"],
};
const toolAliases: Readonly<Record<string, string>> = {
  execute_bash: "bash",
  run_shell_command: "bash",
  shell: "bash",
  terminal: "bash",
};

/** A JSON Schema of an object; anything else takes nothing. */
export function takenBy(schema: unknown): Taken {
  if (!isRecord(schema)) return { properties: {}, required: [] };
  const { properties, required } = schema;
  return {
    properties: isRecord(properties) ? properties : {},
    required: Array.isArray(required) ? required.filter((name) => typeof name === "string") : [],
  };
}

/** The tool that is meant by a name, which may be another harness's name for it. */
export function toolCalled<T extends { name: string }>(tools: readonly T[], name: string): T | undefined {
  const meant = Object.hasOwn(toolAliases, name) ? toolAliases[name] : undefined;
  return tools.find((tool) => tool.name === name) ?? tools.find((tool) => tool.name === meant);
}

/** A parameter of a call that was written as text; undefined where it stands for leaving the parameter out. */
export function typeText(text: string, name: string, taken: Taken): unknown {
  const allowed = kindsOf(schemaOf(name, taken));
  for (const kind of kinds) {
    const value = allowed.has(kind) ? readAs(kind, text) : undefined;
    if (value !== undefined) return value;
  }
  return isNothing(text) && allowed.size > 0 && !taken.required.includes(name) ? undefined : text;
}

/** A parameter of a call that came as JSON, in the kind that the tool takes; undefined where it is to be left out. */
export function fitValue(value: unknown, name: string, taken: Taken): unknown {
  const allowed = kindsOf(schemaOf(name, taken));
  if (allowed.size === 0 || kindsOfValue(value).some((kind) => allowed.has(kind))) return value;
  if (typeof value === "string") return typeText(value, name, taken);
  if (value === null && !taken.required.includes(name)) return undefined;
  // Some servers turn the word into the value: https://github.com/ollama/ollama/blob/main/model/parsers/qwen3coder.go
  return allowed.has("string") ? (toJson(value) ?? value) : value;
}

export interface Coerced {
  args: Record<string, unknown>;
  /** What was done, such as `aliased cmd`, for the records. */
  repaired: string[];
  /** Parameters that the tool does not have. */
  dropped: string[];
}

/** Arguments with the names and kinds that the tool takes, in the order of the model. */
export function coerce(given: Readonly<Record<string, unknown>>, taken: Taken): Coerced {
  const entries = new Map<string, unknown>();
  const repaired: string[] = [];
  const dropped: string[] = [];
  const written = new Set(Object.keys(given).map((key) => key.trim()));
  for (const [key, value] of Object.entries(given)) {
    const name = nameFor(key.trim(), taken, written);
    if (name === undefined) {
      dropped.push(key.trim());
      continue;
    }
    if (name !== key.trim()) repaired.push(`aliased ${key.trim()}`);
    const fitted = fitValue(value, name, taken);
    if (fitted !== value) repaired.push(`coerced ${name}`);
    if (fitted !== undefined) entries.set(name, fitted);
  }
  return { args: Object.fromEntries(entries), repaired, dropped };
}

function nameFor(key: string, { properties }: Taken, written: ReadonlySet<string>): string | undefined {
  if (Object.hasOwn(properties, key)) return key;
  const meant = Object.hasOwn(aliases, key) ? (aliases[key] ?? []) : [];
  return meant.find((name) => Object.hasOwn(properties, name) && !written.has(name));
}

function schemaOf(name: string, { properties }: Taken): unknown {
  return Object.hasOwn(properties, name) ? properties[name] : undefined;
}

/** Empty where the schema does not tell. */
function kindsOf(schema: unknown): Set<Kind> {
  if (!isRecord(schema)) return new Set();
  const { type, enum: values, const: only, anyOf, oneOf, allOf } = schema;
  const parts = [anyOf, oneOf, allOf].flatMap((part) => (Array.isArray(part) ? part : []));
  const named = [type].flat().filter((name): name is Kind => kinds.includes(name as Kind));
  const listed = type === undefined ? [...(Array.isArray(values) ? values : []), only].flatMap(kindsOfValue) : [];
  return new Set([...named, ...listed, ...parts.flatMap((part) => [...kindsOf(part)])]);
}

function kindsOfValue(value: unknown): Kind[] {
  if (value === null) return ["null"];
  if (Array.isArray(value)) return ["array"];
  if (typeof value === "number") return Number.isInteger(value) ? ["integer", "number"] : ["number"];
  const kind = kinds.find((name) => name === typeof value);
  return kind === undefined ? [] : [kind];
}

/** Undefined when the text is not exactly a value of that kind. */
function readAs(kind: Kind, text: string): unknown {
  const bare = text.trim();
  switch (kind) {
    case "null":
      return isNothing(text) ? null : undefined;
    case "integer":
      return /^[+-]?\d{1,17}(?:\.0{0,9})?$/.test(bare) ? within(Number.isSafeInteger, bare) : undefined;
    case "number":
      return /^[+-]?(?:\d{1,400}\.?|\d{0,400}\.\d{1,400})(?:e[+-]?\d{1,4})?$/i.test(bare)
        ? within(Number.isFinite, bare)
        : undefined;
    case "boolean":
      return booleans.get(bare.toLowerCase());
    case "object":
    case "array": {
      const value = parseJson(bare);
      return kindsOfValue(value).includes(kind) ? value : undefined;
    }
    case "string":
      return text;
  }
}

const booleans = new Map([
  ["true", true],
  ["1", true],
  ["false", false],
  ["0", false],
]);

function within(isFit: (value: number) => boolean, text: string): number | undefined {
  const value = Number(text);
  return isFit(value) ? value : undefined;
}

function isNothing(text: string): boolean {
  return ["null", "None"].includes(text.trim());
}
