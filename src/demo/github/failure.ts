import type { ContentfulStatusCode } from "hono/utils/http-status";

/** Ends a request with GitHub's error body. */
export class Failure extends Error {
  override name = "Failure";
  readonly status: ContentfulStatusCode;
  readonly errors: readonly (object | string)[] | undefined;
  constructor(status: ContentfulStatusCode, message: string, errors?: readonly (object | string)[]) {
    super(message);
    this.status = status;
    this.errors = errors;
  }
}

export function notFound(): Failure {
  return new Failure(404, "Not Found");
}

/** GitHub's 422 about one field. */
export function invalid(resource: string, field: string, more: { code?: string; message?: string } = {}): Failure {
  return new Failure(422, "Validation Failed", [{ resource, field, code: "invalid", ...more }]);
}
