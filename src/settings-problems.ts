import { isAlias, isMap, isNode, isScalar, isSeq } from "yaml";
import type { Document, LineCounter } from "yaml";
import type { z } from "zod";
import { inlineCode } from "./text.ts";

type Schema = z.core.JSONSchema.JSONSchema;
type Path = readonly PropertyKey[];

/** The file that a problem is in, and the schema that it breaks. */
interface Place {
  document: Document;
  lines: LineCounter;
  schema: Schema;
}

const mostExplained = 20;

/** The first ones, in the order of the file; the last line counts the others. */
export function explainIssues(issues: readonly z.core.$ZodIssue[], place: Place): string[] {
  const all = issues.flatMap(partsOf);
  const explained = all
    .slice(0, mostExplained)
    .map((issue) => explainIssue(issue, place))
    .toSorted((a, b) => a.line - b.line)
    .map(({ line, says }) => `line ${line}: ${says}`);
  const more = all.length - explained.length;
  return more === 0 ? explained : [...explained, `and ${more} more`];
}

interface Problem {
  line: number;
  says: string;
}

/** An issue of many parts as one for each. */
function partsOf(issue: z.core.$ZodIssue): z.core.$ZodIssue[] {
  const { path, code } = issue;
  const inside = insideOf(issue);
  if (inside !== undefined) return inside.flatMap((one) => partsOf({ ...one, path: [...path, ...one.path] }));
  return code === "unrecognized_keys" ? issue.keys.map((key) => ({ ...issue, keys: [key] })) : [issue];
}

function explainIssue(issue: z.core.$ZodIssue, place: Place): Problem {
  const { path, code } = issue;
  if (code === "unrecognized_keys") return explainKey([...path, ...issue.keys], place);
  const line = lineOf(path, place);
  if (code === "invalid_type" && issue.input === undefined) return { line, says: lacks(path, place.schema) };
  const name = path.length === 0 ? "the file" : nameOf(path);
  return { line, says: `${name}${complaint(issue, place.schema)}` };
}

/** Of what may be written as a text or as a group, the group's own problems tell what is wrong. */
function insideOf(issue: z.core.$ZodIssue): z.core.$ZodIssue[] | undefined {
  if (issue.code !== "invalid_union") return undefined;
  return issue.errors.find((errors) => errors.some(({ path }) => path.length > 0));
}

function explainKey(path: Path, place: Place): Problem {
  const known = keysOf(schemaAt(place.schema, path.slice(0, -1)));
  const key = String(path.at(-1));
  const near = placeOf(key, place.schema) ?? nearest(key, known);
  const list = known.map(inlineCode).join(", ");
  const remedy = near === undefined ? `. Known here: ${list}.` : `, did you mean ${inlineCode(near)}?`;
  return { line: lineOf(path, place), says: `unknown key ${nameOf(path)}${remedy}` };
}

function lacks(path: Path, schema: Schema): string {
  const example = exampleOf(path, schema);
  const remedy = example === "" ? "." : `. Write for example ${example}.`;
  return `${nameOf(path.slice(0, -1))} lacks ${inlineCode(String(path.at(-1)))}${remedy}`;
}

/** What follows the key's name. */
function complaint(issue: z.core.$ZodIssue, schema: Schema): string {
  if (issue.code === "invalid_key") return `: the name takes ${issue.issues[0]?.message ?? "other letters"}.`;
  const is = ` is ${valueOf(issue.input)}`;
  // Of a list or a group, the problem is in how its parts go together.
  if (issue.code === "custom") return `${typeof issue.input === "object" ? "" : is}: ${issue.message}`;
  if (issue.code === "invalid_format") return `${is}; it takes ${issue.message}.`;
  if (issue.code === "too_big" && issue.origin === "string") return ` has more than ${issue.maximum} characters.`;
  if (issue.code === "too_big" && issue.origin === "array") return ` has more than ${issue.maximum} entries.`;
  const wanted = `${is}; it takes ${takes(schemaAt(schema, issue.path))}`;
  if (issue.code === "invalid_value") {
    const near = nearest(String(issue.input), issue.values.map(String));
    return near === undefined ? `${wanted}.` : `${wanted}. Did you mean ${inlineCode(near)}?`;
  }
  const example = exampleOf(issue.path, schema);
  return example === "" ? `${wanted}.` : `${wanted}, such as ${example}.`;
}

function nameOf(path: Path): string {
  return inlineCode(path.map(String).join("."));
}

function valueOf(value: unknown): string {
  if (value === null || value === "") return "empty";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a group of keys";
  return typeof value === "string" ? `the text ${inlineCode(value)}` : inlineCode(JSON.stringify(value));
}

/** What a part of the schema takes, for people. */
function takes({ anyOf, enum: words, type, minimum, maximum, properties }: Schema): string {
  if (words !== undefined) return words.map((word) => inlineCode(String(word))).join(" or ");
  if (type === "boolean") return "`true` or `false`";
  if (type === "integer") return `a whole number from ${minimum ?? 0}${maximum === undefined ? "" : ` to ${maximum}`}`;
  if (type === "string") return "a text";
  if (type === "array") return "a list";
  const keys = keysOf({ ...(properties !== undefined && { properties }) }).map(inlineCode);
  if (type === "object") return ["a group of keys", keys.join(", ")].filter(Boolean).join(": ");
  return (anyOf ?? []).map((part) => takes(part)).join(", or ");
}

/** Such as "`steps: 300`"; empty where there is none. */
function exampleOf(path: Path, schema: Schema): string {
  const { examples, default: usual, anyOf = [] } = schemaAt(schema, path);
  const [example = isTelling(usual) ? usual : anyOf[0]?.examples?.[0]] = examples ?? [];
  const key = path.at(-1);
  if (example === undefined) return "";
  return inlineCode(`${typeof key === "string" ? `${key}: ` : ""}${JSON.stringify(example)}`);
}

function isTelling(value: unknown): boolean {
  return (
    value !== undefined &&
    typeof value !== "boolean" &&
    (typeof value !== "object" || Object.keys(Object(value)).length > 0)
  );
}

function schemaAt(schema: Schema, path: Path): Schema {
  return path.reduce((at: Schema, key) => partOf(at, key) ?? {}, schema);
}

function partOf(schema: Schema, key: PropertyKey): Schema | undefined {
  const parts = [schema, ...(schema.anyOf ?? [])].map(({ items, properties, additionalProperties }) =>
    typeof key === "number" ? items : (properties?.[String(key)] ?? additionalProperties),
  );
  return parts.find(isSchema);
}

function isSchema(part: unknown): part is Schema {
  return typeof part === "object" && part !== null && !Array.isArray(part);
}

function keysOf({ properties, anyOf = [] }: Schema): string[] {
  return [properties, ...anyOf.map((part) => part.properties)].flatMap((some) => Object.keys(some ?? {}));
}

/** Where a key of that name is known, such as `limits.minutes`. */
function placeOf(key: string, schema: Schema, above = ""): string | undefined {
  for (const [name, part] of Object.entries(schema.properties ?? {})) {
    if (name === key) return `${above}${name}`;
    const below = isSchema(part) ? placeOf(key, part, `${above}${name}.`) : undefined;
    if (below !== undefined) return below;
  }
  const { additionalProperties: each } = schema;
  return isSchema(each) ? placeOf(key, each, `${above}KEY.`) : undefined;
}

/** The line on which a key stands, or the item of a list; of what is not there, that of what it should be in. */
function lineOf(path: Path, { document, lines }: Place): number {
  let node: unknown = document.contents;
  let offset = 0;
  for (const key of path) {
    if (isAlias(node)) node = node.resolve(document);
    const pair = isMap(node) ? node.items.find((one) => isScalar(one.key) && String(one.key.value) === key) : undefined;
    const child: unknown = isSeq(node) ? node.items[Number(key)] : pair?.value;
    const at = pair === undefined ? child : pair.key;
    if (!isNode(at)) break;
    offset = at.range?.[0] ?? offset;
    node = child;
  }
  return lines.linePos(offset).line;
}

/** The known word with the fewest edits, if it is close enough to be what was meant. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const most = Math.min(word.length - 1, Math.max(2, Math.floor(word.length / 3)));
  const ranked = known
    // The others have more edits than that, and may take long to be told so.
    .filter((candidate) => Math.abs(candidate.length - word.length) <= most)
    .map((candidate) => ({ candidate, edits: distance(word.toLowerCase(), candidate.toLowerCase()) }));
  const best = ranked.sort((a, b) => a.edits - b.edits)[0];
  return best !== undefined && best.edits <= most ? best.candidate : undefined;
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
