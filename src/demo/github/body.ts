import { z } from "zod";
import { Failure } from "./failure.ts";

/** GitHub's own limits, in characters. */
export const title = z.string().min(1).max(256);
export const text = z.string().max(65_536);

/** The body in a shape, or GitHub's 422 that names the field. */
export function parseBody<T extends z.ZodType>(schema: T, resource: string, body: unknown): z.infer<T> {
  const parsed = schema.safeParse(body ?? {}, { reportInput: true });
  if (parsed.success) return parsed.data;
  const errors = parsed.error.issues.map((issue) => {
    const field = issue.path.map(String).join(".");
    return { resource, field, ...explain(issue, field) };
  });
  throw new Failure(422, "Validation Failed", errors);
}

function explain(issue: z.core.$ZodIssue, field: string): { code: string; message?: string } {
  if (issue.input === undefined) return { code: "missing_field" };
  if (issue.code === "too_big" && issue.origin === "string")
    return { code: "custom", message: `${field} is too long (maximum is ${issue.maximum} characters)` };
  return { code: "invalid", message: issue.message };
}
