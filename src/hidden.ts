import type { z } from "zod";

/** A value as a comment of HTML, which people do not see: `start` begins it, such as `<!-- agent-fix:task `. */
export function hide(start: string, value: unknown): string {
  return `${start}${JSON.stringify(value).replaceAll("--", String.raw`-\u002d`)} -->`;
}

/** The value that is hidden at an offset; undefined where there is none, or a damaged one. */
export function hiddenAt<T>(
  body: string,
  offset: number,
  { start, schema }: { start: string; schema: z.ZodType<T> },
): T | undefined {
  const end = body.indexOf(" -->", offset);
  if (offset === -1 || end === -1) return undefined;
  try {
    return schema.parse(JSON.parse(body.slice(offset + start.length, end)));
  } catch {
    return undefined;
  }
}
