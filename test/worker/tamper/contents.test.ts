import { describe, expect, it } from "vitest";
import { findUnreadable } from "../../../worker/tamper/contents.ts";
import { pairsFrom } from "./support.ts";

const found = async (files: Parameters<typeof pairsFrom>[0]) =>
  findUnreadable(await pairsFrom(files)).map(
    ({ kind, weight, path, detail }) => `${weight}: ${kind}: ${path} ${detail}`,
  );
const binary = Buffer.from("\0binary");

describe("findUnreadable", () => {
  it("stops a binary file, new or changed, and only mentions a picture in documents and tests", async () => {
    const files = {
      "a.bin": [undefined, binary],
      "docs/a.png": [undefined, binary],
      "lib/b.so": ["text", binary],
      "lib/same.so": [binary, { mode: "100755", text: binary.toString() }],
      "src/a.png": [undefined, binary],
      "test/gone.bin": [binary, undefined],
      "test/x.zip": [undefined, binary],
    } as const;

    expect(await found(files)).toEqual([
      "block: binary-file: a.bin is binary, with 7 bytes",
      "advise: image-file: docs/a.png is binary, with 7 bytes",
      "block: binary-file: lib/b.so is binary, with 7 bytes",
      "advise: executable: lib/same.so can be run as a program now",
      "block: binary-file: src/a.png is binary, with 7 bytes",
      "block: binary-file: test/x.zip is binary, with 7 bytes",
    ]);
  });

  it("mentions links, programs, large files and long lines", async () => {
    const files = {
      "a.sh": ["x", { mode: "100755", text: "x" }],
      "b.sh": [undefined, { mode: "100755", text: "x" }],
      "c.sh": [
        { mode: "100755", text: "x" },
        { mode: "100755", text: "y" },
      ],
      "d.txt": ["", "line\n".repeat(100_001)],
      "e.js": ["", "x".repeat(5001)],
      "f.js": ["x".repeat(6000), "x".repeat(5001)],
      link: [undefined, { mode: "120000", text: "a.sh" }],
      "package-lock.json": ["", "x".repeat(5001)],
    } as const;

    expect(await found(files)).toEqual([
      "advise: executable: a.sh can be run as a program now",
      "advise: executable: b.sh can be run as a program now",
      "advise: large-file: d.txt has 500005 bytes",
      "advise: minified-file: e.js has a line of 5001 characters",
      "advise: link: link is a link; look at where it leads",
    ]);
  });
});
