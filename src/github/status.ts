// GraphQL answers 200 and names what is wrong.
const graphqlStatuses = new Map<unknown, number>([
  ["NOT_FOUND", 404],
  ["FORBIDDEN", 403],
  ["RATE_LIMITED", 429],
]);

/** The HTTP status of an error that octokit threw; of GraphQL, what REST answers in that case. */
export function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  if ("status" in error && typeof error.status === "number") return error.status;
  if (!("errors" in error) || !Array.isArray(error.errors)) return undefined;
  const types = error.errors.map((one: unknown) => graphqlStatuses.get(Object(one).type));
  return types.find((status) => status !== undefined);
}

/** Undefined in place of a 404. */
export async function orMissing<T>(request: Promise<T>): Promise<T | undefined> {
  try {
    return await request;
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}
