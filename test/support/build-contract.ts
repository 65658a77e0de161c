import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** Of JSON Schema, and of OpenAPI 3.0's dialect of it. */
export interface Schema {
  $ref?: string;
  type?: string | string[];
  nullable?: boolean;
  enum?: unknown[];
  properties?: Record<string, Schema>;
  items?: Schema;
  allOf?: Schema[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  additionalProperties?: boolean | Schema;
  [keyword: string]: unknown;
}

export interface Operation {
  id: string;
  method: string;
  /** A regular expression whose groups are the path's parameters. */
  path: string;
  pathParameters: Schema;
  query: Schema;
  /** Properties that GitHub does not document are refused. */
  body: Schema | undefined;
  bodyRequired: boolean;
  /** By status, then by media type; a status without a body has none. */
  answers: Record<string, Record<string, Schema>>;
}

/** GitHub's description of its REST API as JSON Schema; what its operations share is referred to as `github#/schemas/...`. */
export interface Description {
  operations: Operation[];
  schemas: Record<string, Schema>;
}

interface Content {
  content?: Record<string, { schema: Schema }>;
}
interface Parameter {
  name: string;
  in: "path" | "query";
  required?: boolean;
  schema: Schema;
  "x-multi-segment"?: boolean;
}
interface OpenApiOperation {
  operationId: string;
  parameters?: (Parameter | { $ref: string })[];
  requestBody?: Content & { required?: boolean };
  responses: Record<string, Content | { $ref: string }>;
}
interface OpenApi {
  paths: Record<string, Record<string, OpenApiOperation>>;
  components: { schemas: Record<string, Schema> };
}

const source = { name: "@octokit/openapi", version: "23.0.2", file: "package/generated/api.github.com.json" };
const fetchLimitMs = 300_000;
const run = promisify(execFile);

/** Where this version of the description lies, as this version of the file makes it. */
export function contractFile(): string {
  const self = createHash("sha256")
    .update(readFileSync(import.meta.filename))
    .digest("hex")
    .slice(0, 12);
  const cache = fileURLToPath(new URL("../../node_modules/.cache/agent-fix", import.meta.url));
  return join(cache, `github-${source.version}-${self}.json`);
}

/** Makes the file from the published package, unless it is there. */
export async function buildContract(file: string): Promise<"built" | "present"> {
  if (existsSync(file)) return "present";
  const text = JSON.stringify(describe(await fetchOpenApi()));
  await mkdir(dirname(file), { recursive: true });
  // Two set-ups may run at once: the name only ever stands for a whole file.
  const unfinished = `${file}.${process.pid}`;
  await writeFile(unfinished, text);
  await rename(unfinished, file);
  return "built";
}

async function fetchOpenApi(): Promise<OpenApi> {
  const dir = await mkdtemp(join(tmpdir(), "agent-fix-contract-"));
  try {
    const wanted = `${source.name}@${source.version}`;
    const pack = ["pack", "--silent", "--ignore-scripts", "--prefer-offline", "--pack-destination", dir, wanted];
    await run("npm", pack, { timeout: fetchLimitMs }).catch((cause: unknown) => {
      throw new Error(
        `npm could not fetch ${wanted}, GitHub's description of its API. "npm ping" must answer: see "npm config get registry".`,
        { cause },
      );
    });
    const archive = (await readdir(dir)).find((name) => name.endsWith(".tgz"));
    if (archive === undefined) throw new Error(`npm fetched no archive of ${wanted}`);
    const { stdout } = await run("tar", ["-xzOf", join(dir, archive), source.file], { maxBuffer: 64 * 1024 * 1024 });
    return JSON.parse(stdout) as OpenApi;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function describe(api: OpenApi): Description {
  mend(api);
  const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => describeOperation(api, path, method, operation)),
  );
  return { operations, schemas: normaliseAll(api.components.schemas) };
}

/** Here GitHub writes an account that is a user and an enterprise at once; its shared schema has one or the other. */
function mend(api: OpenApi): void {
  const list = api.paths["/app/installations"]?.["get"];
  if (list === undefined) throw new Error(`${source.name} ${source.version} does not have the list of installations`);
  const schema: Schema = { type: "array", items: { $ref: "#/components/schemas/installation" } };
  list.responses["200"] = { content: { "application/json": { schema } } };
}

function describeOperation(api: OpenApi, path: string, method: string, operation: OpenApiOperation): Operation {
  const parameters = (operation.parameters ?? []).map((parameter) => resolve<Parameter>(api, parameter));
  const body = operation.requestBody?.content?.["application/json"]?.schema;
  const answers = Object.entries(operation.responses).map(([status, answer]) => {
    const { content = {} } = resolve<Content>(api, answer);
    return [status, normaliseAll(Object.fromEntries(Object.entries(content).map(([type, of]) => [type, of.schema])))];
  });
  return {
    id: operation.operationId,
    method: method.toUpperCase(),
    path: pathPattern(path, parameters),
    pathParameters: parametersSchema(
      parameters.filter((parameter) => parameter.in === "path"),
      groupName,
    ),
    query: parametersSchema(parameters.filter((parameter) => parameter.in === "query")),
    body: body === undefined ? undefined : normalise(close(api, body)),
    bodyRequired: operation.requestBody?.required === true,
    answers: Object.fromEntries(answers) as Operation["answers"],
  };
}

function resolve<T extends object>(api: OpenApi, node: T | { $ref: string }): T {
  if (!("$ref" in node) || typeof node.$ref !== "string") return node as T;
  const keys = node.$ref.replace(/^#\//, "").split("/");
  return keys.reduce((at: unknown, key) => (at as Record<string, unknown>)[key], api) as T;
}

function pathPattern(path: string, parameters: readonly Parameter[]): string {
  // GitHub takes the slashes of a branch's name in these, and forgets to say so of references.
  const long = parameters.filter((parameter) => parameter["x-multi-segment"] === true).map(({ name }) => name);
  if (/\/git\/(?:refs?|matching-refs)\/\{ref\}$/.test(path)) long.push("ref");
  const groups = path.replaceAll(/\{([\w-]+)\}/g, (_, name: string) => {
    return `(?<${groupName(name)}>${long.includes(name) ? ".+" : "[^/]+"})`;
  });
  return `^${groups}$`;
}

function groupName(parameter: string): string {
  return parameter.replaceAll("-", "_");
}

function parametersSchema(parameters: readonly Parameter[], nameOf = (name: string) => name): Schema {
  return {
    type: "object",
    properties: normaliseAll(Object.fromEntries(parameters.map(({ name, schema }) => [nameOf(name), schema]))),
    required: parameters.filter((parameter) => parameter.required === true).map(({ name }) => nameOf(name)),
    additionalProperties: false,
  };
}

/**
 * The schema with all that it refers to in it, refusing properties that it does not name. A branch beside other
 * properties stays open: it sees those too.
 */
function close(api: OpenApi, node: Schema, beside: "alone" | "branch" = "alone"): Schema {
  const schema = resolve<Schema>(api, node);
  const branches = schema.properties === undefined && schema.allOf === undefined ? beside : "branch";
  const closed = mapSchemas(schema, (part, keyword) =>
    close(api, part, ["allOf", "anyOf", "oneOf"].includes(keyword) ? branches : "alone"),
  );
  const names = schema.properties !== undefined || schema.allOf !== undefined;
  if (beside === "branch" || !names || schema.additionalProperties !== undefined) return closed;
  return { ...closed, unevaluatedProperties: false };
}

/** OpenAPI 3.0 as JSON Schema: `nullable` becomes a type, and what is only for readers goes. */
function normalise(schema: Schema): Schema {
  const { nullable, ...rest } = mapSchemas(schema, normalise);
  for (const keyword of Object.keys(rest)) if (!meaningful.has(keyword)) delete rest[keyword];
  if (rest.$ref !== undefined) rest.$ref = rest.$ref.replace("#/components/", "github#/");
  if (nullable !== true) return rest;
  if (rest.enum !== undefined) rest.enum = [...rest.enum, null];
  if (typeof rest.type === "string") rest.type = [rest.type, "null"];
  const composed = rest.$ref ?? rest.allOf ?? rest.anyOf ?? rest.oneOf;
  return composed === undefined ? rest : { anyOf: [{ type: "null" }, rest] };
}

const meaningful = new Set(
  (
    "$ref type enum format pattern required properties additionalProperties unevaluatedProperties items allOf anyOf oneOf " +
    "minimum maximum minLength maxLength minItems maxItems uniqueItems maxProperties"
  ).split(" "),
);

function normaliseAll(schemas: Record<string, Schema>): Record<string, Schema> {
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, normalise(schema)]));
}

function mapSchemas(schema: Schema, change: (part: Schema, keyword: string) => Schema): Schema {
  const mapped = { ...schema };
  if (schema.properties !== undefined)
    mapped.properties = Object.fromEntries(
      Object.entries(schema.properties).map(([name, part]) => [name, change(part, "properties")]),
    );
  if (schema.items !== undefined) mapped.items = change(schema.items, "items");
  for (const keyword of ["allOf", "anyOf", "oneOf"] as const) {
    const parts = schema[keyword];
    if (parts !== undefined) mapped[keyword] = parts.map((part) => change(part, keyword));
  }
  if (typeof schema.additionalProperties === "object")
    mapped.additionalProperties = change(schema.additionalProperties, "additionalProperties");
  return mapped;
}

if (import.meta.main) {
  const file = contractFile();
  if (!existsSync(file)) console.log("set-up: fetching GitHub's description of its API, which the tests check against");
  try {
    await buildContract(file);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
