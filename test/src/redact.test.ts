import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRedact } from "../../src/redact.ts";

const encodings: Record<string, (secret: string) => string> = {
  "as it is": (secret) => secret,
  "in base64": (secret) => Buffer.from(secret).toString("base64"),
  "in base64 for URLs": (secret) => Buffer.from(secret).toString("base64url"),
  "in hex": (secret) => Buffer.from(secret).toString("hex"),
  "in upper-case hex": (secret) => Buffer.from(secret).toString("hex").toUpperCase(),
  "in a URL": (secret) => encodeURIComponent(secret),
  "in JSON": (secret) => JSON.stringify(secret).slice(1, -1),
};
const secrets = fc.array(fc.string({ unit: "grapheme", minLength: 8, maxLength: 60 }), { minLength: 1, maxLength: 4 });
const noise = fc.string({ unit: "grapheme", maxLength: 20 });

describe("createRedact", () => {
  it.each(Object.entries(encodings))("leaves no secret %s, whatever stands around it", (_form, encode) => {
    fc.assert(
      fc.property(secrets, noise, noise, (values, before, after) => {
        const clean = createRedact(values)(values.map((value) => `${before}${encode(value)}${after}`).join(" "));

        for (const value of values) expect(clean).not.toContain(encode(value));
      }),
    );
  });

  it("leaves nothing to decode of a secret in a longer text's base64, as Basic authentication has it", () => {
    fc.assert(
      fc.property(fc.base64String({ minLength: 16, maxLength: 60 }), noise, noise, (value, user, after) => {
        const header = Buffer.from(`${user}:${value}${after}`).toString("base64");

        const clean = createRedact([value])(`authorization: basic ${header}`);

        expect(clean).toContain("[secret]");
        expect(Buffer.from(clean, "base64").toString()).not.toContain(value);
      }),
    );
  });

  it("leaves a text without secrets as it is", () => {
    const text = "the label agent-fix was set by ann on o/r#5: EMPTY, ghost_writer, a".repeat(3);

    expect(createRedact(["a-secret-of-the-operator", "EMPTY", ""])(text)).toBe(text);
  });

  it.each([
    ["a token of GitHub's", `ghp_${"aB3".repeat(12)}`],
    ["a token of GitHub's new form", `ghs_4242_${"aB3.-".repeat(100)}`],
    ["a fine-grained token", `github_pat_${"aB3_".repeat(20)}`],
    ["a key of AWS's", "AKIAIOSFODNN7EXAMPLE"],
    ["a JSON web token", "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxMiJ9.c2lnbmF0dXJlLW9m"],
    ["a private key", "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----"],
  ])("takes out %s that nobody told it of", (_what, text) => {
    expect(createRedact([])(`before ${text} after ${text}`)).toBe("before [secret] after [secret]");
  });

  it.each(["-----BEGIN PRIVATE KEY-----", "-eyJaaaaaaaaaaaa", "eyJaaaaaaaaaa."])(
    "comes to an end on a megabyte of %j, which is no secret that is whole",
    (start) => {
      const text = start.repeat(Math.floor(1_000_000 / start.length));

      expect(createRedact([])(`${text} end`)).toContain("end");
    },
  );
});
