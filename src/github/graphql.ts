import type { Author } from "../forge.ts";

/** One page of a list, as GraphQL gives it. */
export interface Page<T> {
  nodes: (T | null)[];
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
}
export interface Actor {
  __typename: string;
  login: string;
  databaseId?: number | null;
}

export const authorFragment = `fragment author on Actor { __typename login ... on User { databaseId } ... on Bot { databaseId } }`;

/** All items of a list: `ask` gets the cursor of the page before. */
export async function allPages<T>(
  ask: (after: string | null) => Promise<Page<T>>,
  first: Promise<Page<T>> | Page<T> = ask(null),
): Promise<T[]> {
  const found: T[] = [];
  for (let page = await first; ; page = await ask(page.pageInfo.endCursor)) {
    found.push(...page.nodes.filter((node) => node !== null));
    if (!page.pageInfo.hasNextPage) return found;
  }
}

/** As the REST API spells it: GraphQL leaves `[bot]` out. */
export function toAuthor(actor: Actor | null): Author {
  if (actor === null) return { id: 0, login: "ghost", isBot: false };
  const isBot = actor.__typename === "Bot";
  return { id: actor.databaseId ?? 0, login: isBot ? `${actor.login}[bot]` : actor.login, isBot };
}
