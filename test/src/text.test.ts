import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRedact } from "../../src/redact.ts";
import { parseStatus, renderStatus } from "../../src/status.ts";
import { fencedText, inlineText, plainText } from "../../src/text.ts";

describe("inlineText", () => {
  it.each([
    ["@team", /@\p{L}/u],
    ["fixes #12 and closes o/r#3", /(fixes|closes) \S*#\d/i],
    ["<img src=x>", /(?<!\\)</],
    ["![x](http://evil)", /(?<!\\)\[/],
    ["<!-- hidden", /(?<!\\)<!--/],
    ["a\u{E0041}\u{200B}b\u{202E}c", /[\u{E0000}-\u{E007F}\u{202E}]/u],
    ["line\n# heading", /\n/],
  ])("takes the force out of %j", (hostile, force) => {
    expect(inlineText(hostile)).not.toMatch(force);
  });

  it("is one line whatever comes in", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => !/[\n\r\u{2028}]/u.test(inlineText(text))));
  });
});

describe("plainText", () => {
  it("keeps an ordinary title and cuts a long one", () => {
    expect(plainText("Mend `parse()` for <T>")).toBe("Mend `parse()` for <T>");
    expect(plainText("x".repeat(100), 72)).toHaveLength(72);
  });
});

describe("fencedText", () => {
  it("cannot be closed from inside", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("```", "````", "~~~", "a", "\n", "</details>")), (parts) => {
        const block = fencedText(parts.join(""));
        const fence = /^`+/.exec(block)?.[0] ?? "";
        return !block.slice(fence.length, -fence.length).includes(fence);
      }),
    );
  });
});

describe("the status comment's marker", () => {
  it("comes back as it was written, whatever stands in it", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (run, trigger) => {
        const status = { run, state: "queued" as const, trigger };
        expect(parseStatus(renderStatus(status, "Queued"))).toEqual(status);
      }),
    );
  });

  it("is undefined in a comment without one", () => {
    expect(parseStatus("<!-- agent-fix:status {broken -->")).toBeUndefined();
    expect(parseStatus("hello")).toBeUndefined();
  });
});

describe("createRedact", () => {
  const secret = "s3cret-value-of-the-operator";
  const redact = createRedact([secret]);

  it.each([
    ["as it is", secret],
    ["in base64", Buffer.from(secret).toString("base64")],
    ["in hex", Buffer.from(secret).toString("hex")],
    ["a token of GitHub's new form", `ghs_4242_${"aB3.-".repeat(100)}`],
    ["a private key", "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----"],
  ])("takes out a secret %s", (_form, text) => {
    expect(redact(`before ${text} after`)).toBe("before [secret] after");
  });
});
