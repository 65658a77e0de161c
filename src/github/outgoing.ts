import type { Redact } from "../redact.ts";
import { boundedBody } from "../text.ts";

/** Texts that GitHub shows, by the names that its REST API has for them. What a file holds is not among them. */
const bounded = ["body", "summary"];
const shown = [...bounded, "title", "message"];
/** What has texts within it. */
const holders = ["output", "annotations"];

/**
 * The last gate of every request that writes: no text of it holds a secret or is longer than GitHub takes, whoever wrote
 * it. Changes the request's parameters in place.
 */
export function cleanOutgoing(asked: object, redact: Redact): void {
  if ("method" in asked && asked.method === "GET") return;
  Object.assign(asked, cleaned(asked, redact));
}

function cleaned(fields: object, redact: Redact): Record<string, unknown> {
  const changes = Object.entries(fields).flatMap(([name, value]) => {
    if (typeof value === "string" && shown.includes(name))
      return [[name, bounded.includes(name) ? cleanBody(value, redact) : redact(value)]];
    if (holders.includes(name) && typeof value === "object" && value !== null)
      return [[name, Array.isArray(value) ? value.map((one) => within(one, redact)) : within(value, redact)]];
    return [];
  });
  return Object.fromEntries(changes);
}

function within(value: unknown, redact: Redact): object {
  return { ...Object(value), ...cleaned(Object(value), redact) };
}

/** The same for a body alone. */
export function cleanBody(text: string, redact: Redact): string {
  return boundedBody(redact(text));
}
