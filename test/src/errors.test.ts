import { expect, it } from "vitest";
import { ConfigError, OutageError, messageOf } from "../../src/errors.ts";

it("errors keep their name, text and cause", () => {
  const cause = new Error("ECONNREFUSED");

  for (const Kind of [ConfigError, OutageError]) {
    const error = new Kind("Redis is away", { cause });
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: Kind.name, message: "Redis is away", cause });
  }
});

it.each([
  [new Error("disk full"), "disk full"],
  ["a text", "a text"],
  [undefined, "undefined"],
  [null, "null"],
  [42, "42"],
])("%s has a message", (thrown, message) => {
  expect(messageOf(thrown)).toBe(message);
});
