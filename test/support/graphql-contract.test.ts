import { buildSchema } from "graphql";
import { expect, it } from "vitest";
import { githubSchema, queryDifferences, schemaDifferences } from "./graphql-contract.ts";

const query = 'query ($n: Int!) { repository(owner: "o", name: "r") { issue(number: $n) { title } } }';

it("finds nothing wrong with a query that GitHub takes", () => {
  expect(queryDifferences({ query, variables: { n: 1 } })).toEqual([]);
});

it.each([
  ["no query", {}, "the request has no query"],
  ["a field that is not there", { query: "{ viewer { shoeSize } }" }, 'Cannot query field "shoeSize" on type "User".'],
  [
    "a field that GitHub gives up",
    { query: "{ node(id: 1) { ... on PullRequestReviewComment { databaseId } } }" },
    /deprecated/,
  ],
  ["a variable of another type", { query, variables: { n: "1" } }, /^Variable "\$n" got invalid value "1"/],
  ["a variable that is missing", { query, variables: {} }, /^Variable "\$n" of required type/],
  ["a variable that nobody asked for", { query, variables: { n: 1, m: 2 } }, "the variable $m is not declared"],
])("finds %s", (_what, body, wrong) => {
  expect(queryDifferences(body).join(" ")).toMatch(wrong);
});

const whole = buildSchema(`
  interface Node { id: ID! }
  enum Side { LEFT RIGHT }
  input Wanted { side: Side! note: String }
  type Query { thing(id: ID!, side: Side): Thing things(first: Int): [Thing] }
  type Thing implements Node { id: ID! name: String }
  union Any = Thing | Query
`);

it("a schema that leaves things out is a part of the whole", () => {
  const part = "type Query { thing(id: ID!): Thing } type Thing { name: String } union Any = Thing";

  expect(schemaDifferences(buildSchema(part), whole)).toEqual([]);
});

it.each([
  ["type Query { other: Int }", "there is no Query.other"],
  ["type Query { things: [Other] } type Other { id: ID! }", "there is no type Other"],
  ["type Query { things(first: Int): [Thing]! } type Thing { id: ID! }", "Query.things is [Thing], not [Thing]!"],
  ["type Query { things(first: Int!): [Thing] } type Thing { id: ID! }", "Query.things(first) is Int, not Int!"],
  ["type Query { things(last: Int): [Thing] } type Thing { id: ID! }", "Query.things takes no last"],
  ["type Query { thing: Thing } type Thing { id: ID! }", "Query.thing requires id"],
  ["type Query implements Node { id: ID! } interface Node { id: ID! }", "Query has no Node"],
  ["type Query { thing(id: ID!, side: Side): Int } enum Side { UP }", "Side has no UP"],
  ["input Wanted { note: String } type Query { things: Int }", "Wanted requires side"],
  ["scalar Thing type Query { things: Int }", "Thing is another kind of type"],
])("%s: %s", (part, wrong) => {
  expect(schemaDifferences(buildSchema(part), whole)).toContain(wrong);
});

it("GitHub's own schema is a part of itself", () => {
  expect(schemaDifferences(githubSchema(), githubSchema())).toEqual([]);
});
