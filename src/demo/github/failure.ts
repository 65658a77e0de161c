import type { ContentfulStatusCode } from "hono/utils/http-status";

/** Ends a request with GitHub's error body. */
export class Failure extends Error {
  override name = "Failure";
  readonly status: ContentfulStatusCode;
  readonly errors: readonly (object | string)[] | undefined;
  readonly headers: Record<string, string>;
  constructor(
    status: ContentfulStatusCode,
    message: string,
    errors?: readonly (object | string)[],
    headers: Record<string, string> = {},
  ) {
    super(message);
    this.status = status;
    this.errors = errors;
    this.headers = headers;
  }
}

export function notFound(): Failure {
  return new Failure(404, "Not Found");
}

/** What is asked for has another address. A question goes there for good, anything else for this time. */
export function movedTo(method: string, location: string): Failure {
  return new Failure(method === "GET" ? 301 : 307, "Moved Permanently", undefined, { location });
}

/** GitHub's 422 about one field. */
export function invalid(resource: string, field: string, more: { code?: string; message?: string } = {}): Failure {
  return new Failure(422, "Validation Failed", [{ resource, field, code: "invalid", ...more }]);
}
