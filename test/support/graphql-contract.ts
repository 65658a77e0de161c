import { readFileSync } from "node:fs";
import {
  buildSchema,
  getVariableValues,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  isRequiredArgument,
  isRequiredInputField,
  isSpecifiedScalarType,
  isUnionType,
  Kind,
  NoDeprecatedCustomRule,
  parse,
  specifiedRules,
  validate,
} from "graphql";
import type { DocumentNode, GraphQLField, GraphQLNamedType, GraphQLSchema } from "graphql";

let loaded: GraphQLSchema | undefined;

/** GitHub's published schema, whole. */
export function githubSchema(): GraphQLSchema {
  // Importing the package would read its 5 MB of JSON, twice.
  const file = new URL("../../node_modules/@octokit/graphql-schema/schema.graphql", import.meta.url);
  loaded ??= buildSchema(readFileSync(file, "utf8"), { assumeValid: true });
  return loaded;
}

/** What GitHub would find wrong with a request: a sentence for each thing. */
export function queryDifferences(body: unknown): string[] {
  const { query, variables } = Object(body) as { query?: unknown; variables?: unknown };
  if (typeof query !== "string") return ["the request has no query"];
  const schema = githubSchema();
  const document = parse(query);
  const wrongs = validate(schema, document, [...specifiedRules, NoDeprecatedCustomRule]).map(({ message }) => message);
  return wrongs.length > 0 ? wrongs : variableDifferences(schema, document, Object(variables ?? {}));
}

function variableDifferences(schema: GraphQLSchema, document: DocumentNode, variables: Record<string, unknown>) {
  return document.definitions.flatMap((definition) => {
    if (definition.kind !== Kind.OPERATION_DEFINITION) return [];
    const definitions = definition.variableDefinitions ?? [];
    const known = definitions.map(({ variable }) => variable.name.value);
    const unknown = Object.keys(variables).filter((name) => !known.includes(name));
    const { errors = [] } = getVariableValues(schema, definitions, variables);
    return [...unknown.map((name) => `the variable $${name} is not declared`), ...errors.map(({ message }) => message)];
  });
}

/** Where a schema is no part of another: a sentence for each type, field or argument that differs. */
export function schemaDifferences(part: GraphQLSchema, whole: GraphQLSchema): string[] {
  const types = Object.values(part.getTypeMap()).filter(
    (type) => !type.name.startsWith("__") && !isSpecifiedScalarType(type),
  );
  return types.flatMap((type) => {
    const other = whole.getType(type.name);
    if (other === undefined) return [`there is no type ${type.name}`];
    if (other.constructor !== type.constructor) return [`${type.name} is another kind of type`];
    return [...memberDifferences(type, other), ...fieldDifferences(type, other)];
  });
}

/** Interfaces, the types of a union, the values of an enumeration. */
function memberDifferences(type: GraphQLNamedType, other: GraphQLNamedType): string[] {
  const theirs = membersOf(other);
  return membersOf(type)
    .filter((name) => !theirs.includes(name))
    .map((name) => `${type.name} has no ${name}`);
}

function membersOf(type: GraphQLNamedType): string[] {
  if (isObjectType(type) || isInterfaceType(type)) return type.getInterfaces().map(({ name }) => name);
  if (isUnionType(type)) return type.getTypes().map(({ name }) => name);
  return isEnumType(type) ? type.getValues().map(({ name }) => name) : [];
}

function fieldDifferences(type: GraphQLNamedType, other: GraphQLNamedType): string[] {
  if (isInputObjectType(type) && isInputObjectType(other)) {
    const [ours, theirs] = [type.getFields(), other.getFields()];
    return [
      ...inputDifferences(type.name, Object.values(ours), Object.values(theirs)),
      ...missing(type.name, ours, Object.values(theirs).filter(isRequiredInputField)),
    ];
  }
  if (!("getFields" in type && "getFields" in other) || isInputObjectType(type) || isInputObjectType(other)) return [];
  const theirs: Record<string, GraphQLField<unknown, unknown>> = other.getFields();
  return Object.values(type.getFields()).flatMap((field) => {
    const at = `${type.name}.${field.name}`;
    const counterpart = theirs[field.name];
    if (counterpart === undefined) return [`there is no ${at}`];
    const { args } = counterpart;
    const ours = Object.fromEntries(field.args.map((arg) => [arg.name, arg]));
    return [
      ...typeDifferences(at, field, counterpart),
      ...inputDifferences(at, field.args, args),
      ...missing(at, ours, args.filter(isRequiredArgument)),
    ];
  });
}

interface Typed {
  name: string;
  type: unknown;
}

function inputDifferences(at: string, ours: readonly Typed[], theirs: readonly Typed[]): string[] {
  return ours.flatMap((one) => {
    const counterpart = theirs.find(({ name }) => name === one.name);
    return counterpart === undefined
      ? [`${at} takes no ${one.name}`]
      : typeDifferences(`${at}(${one.name})`, one, counterpart);
  });
}

function typeDifferences(at: string, ours: Typed, theirs: Typed): string[] {
  const [type, other] = [String(ours.type), String(theirs.type)];
  return type === other ? [] : [`${at} is ${other}, not ${type}`];
}

function missing(at: string, ours: Record<string, unknown>, required: readonly Typed[]): string[] {
  return required.filter(({ name }) => !(name in ours)).map(({ name }) => `${at} requires ${name}`);
}
