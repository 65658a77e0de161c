import { GraphQLError } from "graphql";

export interface Paging {
  first?: number | null;
  after?: string | null;
}

const mostNodes = 100;

/** One page of items, of which each id is higher than the one before. GitHub wants to be told how many, and gives at most 100. */
export function connection<T extends { id: number }, N>(
  items: readonly T[],
  { first, after }: Paging,
  node: (item: T) => N,
) {
  if (typeof first !== "number")
    throw new GraphQLError("You must provide a `first` or `last` value to properly paginate the connection.");
  if (first > mostNodes)
    throw new GraphQLError(
      `Requesting ${first} records on the connection exceeds the \`first\` limit of ${mostNodes} records.`,
    );
  const from = typeof after === "string" ? idOf(after) : 0;
  const rest = items.filter(({ id }) => id > from);
  const page = rest.slice(0, first);
  const last = page.at(-1);
  return {
    nodes: page.map(node),
    pageInfo: {
      hasNextPage: rest.length > page.length,
      endCursor: last === undefined ? null : Buffer.from(`cursor:${last.id}`).toString("base64"),
    },
    totalCount: items.length,
  };
}

function idOf(cursor: string): number {
  const id = /^cursor:(\d+)$/.exec(Buffer.from(cursor, "base64").toString())?.[1];
  if (id === undefined) throw new GraphQLError(`\`${cursor}\` does not appear to be a valid cursor.`);
  return Number(id);
}
