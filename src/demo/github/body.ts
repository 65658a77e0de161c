import { z } from "zod";
import { Failure } from "./failure.ts";

/** GitHub's own limits, in characters. */
export const title = z.string().min(1).max(256);
export const text = z.string().max(65_536);

/** The body in a shape, or GitHub's 422 that names the field. */
export function parseBody<T extends z.ZodType>(schema: T, resource: string, body: unknown): z.infer<T> {
  const parsed = schema.safeParse(body ?? {});
  if (parsed.success) return parsed.data;
  const errors = parsed.error.issues.map(({ path, message, input }) => ({
    resource,
    field: path.map(String).join("."),
    code: input === undefined ? "missing_field" : "invalid",
    message,
  }));
  throw new Failure(422, "Validation Failed", errors);
}
