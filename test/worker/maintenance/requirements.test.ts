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

  it("has the packages that are pinned to one released version, and no others", () => {
    expect(pinsIn({ path: "requirements.txt", text }).map(({ name, range }) => `${name} ${range}`)).toEqual([
      "Flask ==2.0.1",
      "requests ==2.31.0",
      "six ==1.16",
    ]);
  });

  it("gets other versions, and keeps all else as it is", () => {
    const versions = new Map([
      ["Flask", "2.3.3"],
      ["requests", "2.32.0"],
      ["six", "1.17.0"],
      ["loose", "9.9.9"],
    ]);

    const next = withPins(text, versions);

    expect(next).toBe(
      text
        .replace("Flask==2.0.1", "Flask==2.3.3")
        .replace("== 2.31.0 ;", "== 2.32.0 ;")
        .replace("six==1.16 ", "six==1.17.0 "),
    );
  });

  it("is read in time that grows with its length alone", () => {
    const hostile = `${"a".repeat(1_000_000)}==1\n${" ".repeat(1_000_000)}\n${"a==1;".repeat(100_000)}`;

    expect(pinsIn({ path: "requirements.txt", text: hostile })).toEqual([]);
    expect(withPins(hostile, new Map([["a", "2"]]))).toBe(hostile);
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
