import { describe, expect, it } from "vitest";
import { indexesIn, isRequirements, pinsIn, readVersions, withPins } from "../../../worker/maintenance/requirements.ts";

const text = `# what we need
--index-url https://pypi.example/simple
--extra-index-url=https://more.example/simple
Flask==2.0.1
requests[socks] == 2.31.0 ; python_version >= "3.8"
six==1.16  # for old code\r
loose>=1.0
both==1.0,<2
starred==1.*
pre==2.0rc1
hashed==1.0.0 --hash=sha256:00
continued==1.0.0 \\
-r other.txt
`;

describe("a file of requirements", () => {
  it("is told by its name, at the top", () => {
    const names = [
      "requirements.txt",
      "requirements-dev.txt",
      "dev-requirements.txt",
      "a/requirements.txt",
      "notes.txt",
    ];

    expect(names.map(isRequirements)).toEqual([true, true, true, false, false]);
  });

  it("names no more indexes than fit into an argument", () => {
    const lines = Array.from({ length: 1000 }, (_, n) => `--extra-index-url https://more.example/${n}`);

    expect(indexesIn({ path: "requirements.txt", text: lines.join("\n") }).extra.split(" ")).toHaveLength(5);
  });

  it("has the packages that are pinned to one released version, and no others", () => {
    expect(pinsIn({ path: "requirements.txt", text }).map(({ name, range }) => `${name} ${range}`)).toEqual([
      "Flask ==2.0.1",
      "requests ==2.31.0",
      "six ==1.16",
    ]);
  });

  it("gets other versions, and keeps all else as it is", () => {
    const updates = [
      { name: "Flask", from: "2.0.1", to: "2.3.3" },
      { name: "requests", from: "2.31.0", to: "2.32.0" },
      { name: "six", from: "1.16", to: "1.17.0" },
      { name: "loose", from: "1.0", to: "9.9.9" },
    ];

    const next = withPins(text, updates);

    expect(next).toBe(
      text
        .replace("Flask==2.0.1", "Flask==2.3.3")
        .replace("== 2.31.0 ;", "== 2.32.0 ;")
        .replace("six==1.16 ", "six==1.17.0 "),
    );
  });

  it("may pin one package to several versions, of which each gets its own", () => {
    const both = 'numpy==1.21.0; python_version < "3.8"\nnumpy==2.0.0; python_version >= "3.8"\n';

    const next = withPins(both, [
      { name: "numpy", from: "1.21.0", to: "1.26.4" },
      { name: "numpy", from: "2.0.0", to: "2.2.0" },
    ]);
    const second = withPins(both, [{ name: "numpy", from: "2.0.0", to: "3.0.0" }]);

    expect(next).toBe(both.replace("1.21.0", "1.26.4").replace("2.0.0", "2.2.0"));
    expect(second).toBe(both.replace("2.0.0", "3.0.0"));
  });

  it("is read in time that grows with its length alone", () => {
    const hostile = `${"a".repeat(1_000_000)}==1\n${" ".repeat(1_000_000)}\n${"a==1;".repeat(100_000)}`;

    expect(pinsIn({ path: "requirements.txt", text: hostile })).toEqual([]);
    expect(withPins(hostile, [{ name: "a", from: "1", to: "2" }])).toBe(hostile);
    const blank = `${"\n".repeat(400_000)}-i https://a.example`;
    expect(indexesIn({ path: "", text: blank })).toEqual({ index: "https://a.example", extra: "" });
  });

  it("names the indexes that it is to be had from", () => {
    expect(indexesIn({ path: "", text })).toEqual({
      index: "https://pypi.example/simple",
      extra: "https://more.example/simple",
    });
    expect(indexesIn({ path: "", text: "six==1.0\n" })).toEqual({ index: "", extra: "" });
  });
});

it("what pip prints of an index becomes versions, without those that are no releases", () => {
  const printed = "six (1.17.0)\nAvailable versions: 1.17.0, 1.16.0, 1.9, 2.0.0rc1\n  INSTALLED: 1.16.0\n";

  expect(readVersions(printed)).toEqual({
    latest: "1.17.0",
    versions: [{ version: "1.17.0" }, { version: "1.16.0" }, { version: "1.9" }],
  });
  expect(readVersions("ERROR: No matching distribution found for six\n")).toBeUndefined();
  expect(readVersions("")).toBeUndefined();
});
