import { describe, expect, it } from "vitest";
import { sizeOf } from "../../../worker/tamper/size.ts";
import { pairsFrom } from "./support.ts";

const lines = (count: number, text = "line") => Array.from({ length: count }, (_one, at) => `${text} ${at}\n`).join("");

describe("sizeOf", () => {
  it("counts source and test apart, and leaves out what nobody wrote", async () => {
    const pairs = await pairsFrom({
      "src/a.ts": ["a\nb\nc\n", "c\nb\nd\ne"],
      "src/gone.ts": ["a\nb\n", undefined],
      "test/a.test.ts": [undefined, lines(10)],
      "README.md": ["", lines(50)],
      "package-lock.json": ["", lines(5000)],
      "dist/x.js": ["", lines(5000)],
      "src/x.bin": [undefined, Buffer.from(`\0${lines(500)}`)],
    });

    expect(sizeOf(pairs)).toEqual({
      source: { added: 2, removed: 3 },
      test: { added: 10, removed: 0 },
      question: undefined,
    });
  });

  it("asks for the reason when source or tests grow beyond the budget, by net lines", async () => {
    const pairs = await pairsFrom({
      "src/a.ts": [lines(300, "old"), lines(701, "new")],
      "a.test.ts": ["", lines(400)],
    });

    expect(sizeOf(pairs).question).toBe(
      "The change grows by 401 lines of source (400 are usual). Is all of it needed?",
    );
    expect(sizeOf(pairs, { source: 401, test: 400 }).question).toBeUndefined();
    expect(sizeOf(pairs, { source: 10, test: 5 }).question).toBe(
      "The change grows by 401 lines of source (10 are usual) and 400 lines of test (5 are usual). Is all of it needed?",
    );
  });
});
