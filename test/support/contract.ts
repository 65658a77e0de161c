import { readFileSync } from "node:fs";
import webhookSchemas from "@octokit/webhooks-schemas" with { type: "json" };
import { Ajv } from "ajv";
import type { ErrorObject, ValidateFunction } from "ajv";
import { Ajv2019 } from "ajv/dist/2019.js";
import formats from "ajv-formats";
import { expect } from "vitest";
import type { Exchange } from "../../src/demo/github/exchange.ts";
import { contractFile } from "./build-contract.ts";
import type { Description, Operation, Schema } from "./build-contract.ts";
import { queryDifferences } from "./graphql-contract.ts";

/** Holds what goes over the wire of the embedded GitHub against GitHub's own descriptions. */
export interface Contract {
  onExchange(exchange: Exchange): void;
  onDelivery(delivery: { event: string; payload: unknown }): void;
  /** A sentence for each difference, once. */
  readonly violations: readonly string[];
}

/** Throws where `sh setup.sh --test` did not make GitHub's description. */
export function createContract(file: string = contractFile()): Contract {
  const rules = rulesOf(file);
  const violations = new Set<string>();
  return {
    onExchange(exchange) {
      for (const violation of checkExchange(rules, exchange)) violations.add(violation);
    },
    onDelivery({ event, payload }) {
      for (const violation of checkDelivery(rules, event, payload)) violations.add(violation);
    },
    get violations() {
      return [...violations];
    },
  };
}

export function expectNoViolations({ violations }: Contract): void {
  expect(violations, "differences from GitHub's own description").toEqual([]);
}

interface Rules {
  /** The operation of a call with the values in its path. */
  find(method: string, path: string): { operation: Operation; values: Record<string, string> } | undefined;
  /** What is wrong with a value; text of a query or path may stand for a number. */
  check(schema: Schema, value: unknown, as: "json" | "text"): string[];
  /** Undefined for an event or an action that GitHub does not have. */
  checkPayload(event: string, payload: unknown): string[] | undefined;
}

function checkExchange(rules: Rules, exchange: Exchange): string[] {
  const { method, path, status } = exchange;
  if (path === "/graphql") return checkGraphql(exchange);
  if (status === 501) return [`${method} ${path}: the embedded GitHub answered 501: this call is not built`];
  const found = rules.find(method, path);
  if (found === undefined) return [`${method} ${path}: GitHub has no such call`];
  const { operation, values } = found;
  return [
    ...rules.check(operation.pathParameters, values, "text").map((wrong) => `the path${wrong}`),
    ...rules.check(operation.query, { ...exchange.query }, "text").map((wrong) => `the query${wrong}`),
    ...checkRequest(rules, operation, exchange.body),
    ...checkAnswer(rules, operation, exchange),
  ].map((wrong) => `${operation.id}: ${wrong}`);
}

/** What the answer holds is certain by the embedded GitHub's own schema, which is a part of GitHub's. */
function checkGraphql({ body, status }: Exchange): string[] {
  const wrongs = queryDifferences(body);
  if (status !== 200 && !everywhere.has(status)) wrongs.push(`GitHub documents no answer ${status}`);
  return wrongs.map((wrong) => `graphql: ${wrong}`);
}

function checkRequest(rules: Rules, { body: schema, bodyRequired }: Operation, body: unknown): string[] {
  if (body === undefined) return bodyRequired ? ["the request has no body, and GitHub requires one"] : [];
  if (schema === undefined) return ["the request has a body, and GitHub takes none"];
  return rules.check(schema, body, "json").map((wrong) => `the request's body${wrong}`);
}

/** Every call may answer these, and GitHub's description names them unevenly; the outages are a test's own. */
const everywhere = new Set([301, 307, 401, 403, 404, 429, 502, 503, 504]);
const basicError: Schema = { type: "object", required: ["message"], properties: { message: { type: "string" } } };

function checkAnswer(rules: Rules, operation: Operation, { status, mediaType, answer }: Exchange): string[] {
  const documented = operation.answers[status];
  if (documented === undefined && !everywhere.has(status)) return [`GitHub documents no answer ${status}`];
  if (status > 501 && answer === undefined) return [];
  // Of a few refusals GitHub's description has the status alone.
  const isTold = documented !== undefined && (status < 400 || Object.keys(documented).length > 0);
  const content = isTold ? documented : { "application/json": basicError };
  const schema = content[mediaType] ?? content["application/json"];
  // A diff, a patch or a raw file is described nowhere.
  if (answer === undefined && /^application\/vnd\.github\.(?:diff|patch|raw)$/.test(mediaType)) return [];
  if (schema === undefined)
    return answer === undefined ? [] : [`the answer ${status} has a body, and GitHub's has none`];
  if (answer === undefined) return [`the answer ${status} has no JSON body, and GitHub's has one`];
  return rules.check(schema, answer, "json").map((wrong) => `the answer ${status}${wrong}`);
}

function checkDelivery(rules: Rules, event: string, payload: unknown): string[] {
  const name = `webhook ${event}.${actionOf(payload) ?? "(no action)"}`;
  const wrongs = rules.checkPayload(event, payload);
  return wrongs?.map((wrong) => `${name}: the payload${wrong}`) ?? [`${name}: GitHub sends no such event`];
}

function actionOf(payload: unknown): string | undefined {
  const { action } = Object(payload) as { action?: unknown };
  return typeof action === "string" ? action : undefined;
}

const loaded = new Map<string, Rules>();

/** Compiling a schema takes far longer than using it, and a test file makes many contracts. */
function rulesOf(file: string): Rules {
  const known = loaded.get(file) ?? loadRules(file);
  loaded.set(file, known);
  return known;
}

function loadRules(file: string): Rules {
  const { operations, schemas } = readDescription(file);
  const shared = { $id: "github", schemas };
  // GitHub names formats of its own, of which a logger would tell.
  const options = { strict: false, validateSchema: false, allErrors: true, logger: false } as const;
  const validators = {
    json: formats.default(new Ajv2019(options)).addSchema(shared),
    text: formats.default(new Ajv2019({ ...options, coerceTypes: "array" })).addSchema(shared),
  };
  const { definitions } = webhookSchemas;
  // Without the root's `oneOf`, only the events that are seen are compiled.
  const webhooks = formats.default(new Ajv(options)).addSchema({ $id: "webhooks", definitions });
  const candidates = operations
    .map((operation) => ({ operation, pattern: new RegExp(operation.path), parameters: rank(operation) }))
    .sort((a, b) => a.parameters - b.parameters);
  return {
    find(method, path) {
      for (const { operation, pattern } of candidates) {
        const match = operation.method === method ? pattern.exec(path) : null;
        if (match !== null) return { operation, values: decoded(match.groups ?? {}) };
      }
      return undefined;
    },
    check: (schema, value, as) => wrongsOf(validators[as].compile(schema), value),
    checkPayload(event, payload) {
      const validate = webhooks.getSchema(`webhooks#/definitions/${event}$${actionOf(payload) ?? "event"}`);
      return validate === undefined ? undefined : wrongsOf(validate as ValidateFunction, payload);
    },
  };
}

function readDescription(file: string): Description {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Description;
  } catch (cause) {
    throw new Error(`GitHub's description of its API is not at ${file}. Run: sh setup.sh --test`, { cause });
  }
}

/** Fewer parameters first: of two paths that fit, the one with the fixed word is meant. Those that take slashes come last, and of them those that end so. */
function rank({ path }: Operation): number {
  return path.split("(?<").length + (path.includes(">.+)") ? 100 : 0) + (path.endsWith(">.+)$") ? 100 : 0);
}

function decoded(groups: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(groups).map(([name, value]) => [name, decodeURIComponent(value)]));
}

function wrongsOf(validate: ValidateFunction, value: unknown): string[] {
  if (validate(value)) return [];
  const errors = validate.errors ?? [];
  const told = errors.filter((error) => !isEcho(error));
  return [...new Set((told.length > 0 ? told : errors).map(sentence))];
}

/** That no branch fits is told by what is wrong in the branches. */
function isEcho({ keyword, params }: ErrorObject): boolean {
  const fits: unknown = params["passingSchemas"];
  return keyword === "anyOf" || (keyword === "oneOf" && !Array.isArray(fits));
}

function sentence({ instancePath, message, params }: ErrorObject): string {
  const at = instancePath === "" ? "" : ` at ${instancePath}`;
  const name: unknown = params["additionalProperty"] ?? params["unevaluatedProperty"];
  if (typeof name === "string") return `${at} has "${name}", which GitHub does not document`;
  const allowed: unknown = params["allowedValues"];
  return `${at} ${message ?? "is wrong"}${Array.isArray(allowed) ? `: ${allowed.join(", ")}` : ""}`;
}
