import type { Caller, Need } from "./auth.ts";
import type { Site } from "./json/site.ts";
import type { Repository, State } from "./state.ts";
import type { Webhooks } from "./webhooks.ts";

/** What every route works with. */
export interface Context {
  state: State;
  site: Site;
  webhooks: Webhooks;
  /** How long an installation token is good for, in milliseconds. */
  tokenTtlMs: number;
}

/** One request, as a route sees it. */
export interface Call {
  caller: Caller;
  params: Record<string, string>;
  query: Record<string, string>;
  body: unknown;
  accept: string;
  /** The call's address without its query, for links to further pages. */
  address: string;
}
/** A call on one repository that the caller may make. */
export interface RepositoryCall extends Call {
  repository: Repository;
}
export interface Answer {
  status: 200 | 201 | 202 | 204;
  /** An object or array is sent as JSON, a string as a diff. */
  body?: unknown;
  headers?: Record<string, string>;
}

/** One operation of GitHub's REST API. */
export type Route = {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Under `/api/v3`, in Hono's notation. */
  path: string;
} & (
  | { on: "server"; handle(call: Call, context: Context): Answer | Promise<Answer> }
  | {
      on: "repository";
      need: Need;
      handle(call: RepositoryCall, context: Context): Answer | Promise<Answer>;
    }
);

export function ok(body: unknown, headers?: Record<string, string>): Answer {
  return { status: 200, body, ...(headers === undefined ? {} : { headers }) };
}

export function created(body: unknown): Answer {
  return { status: 201, body };
}

export const noContent: Answer = { status: 204 };

/** One page of a list, with GitHub's `Link` header; `shape` makes the body of the page's items. */
export function paged<T>(
  { query, address }: Call,
  items: readonly T[],
  shape: (items: readonly T[]) => unknown = (page) => page,
): Answer {
  const size = Math.min(100, Math.max(1, Number(query["per_page"] ?? 30)));
  const page = Math.max(1, Number(query["page"] ?? 1));
  const last = Math.max(1, Math.ceil(items.length / size));
  const link = (to: number) => `${address}?${new URLSearchParams({ ...query, page: String(to) }).toString()}`;
  const further = page < last ? { link: `<${link(page + 1)}>; rel="next", <${link(last)}>; rel="last"` } : undefined;
  return ok(shape(items.slice((page - 1) * size, page * size)), further);
}

export function newNumber(repository: Repository): number {
  return 1 + Math.max(0, ...repository.issues.keys(), ...repository.transferred.keys());
}
