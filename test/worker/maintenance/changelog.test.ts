import { describe, expect, it } from "vitest";
import { sectionsBetween } from "../../../worker/maintenance/changelog.ts";

const keepAChangelog = `# Changelog

All notable changes to this project are documented here.

## [Unreleased]

- not yet

## [1.3.0] - 2024-03-01

### Added

- third for node 20.0.0

## [1.2.0] - 2024-02-01

### Fixed

- second

## [1.1.0] - 2024-01-01

- first

[1.3.0]: https://example.com/compare
`;
const conventional = `# [1.3.0](https://example.com/compare/v1.2.1...v1.3.0) (2024-03-01)

### Features

* third ([abc](https://example.com/commit/abc))

## [1.2.1](https://example.com/compare/v1.2.0...v1.2.1) (2024-02-01)


### Bug Fixes

* second

# 1.1.0 (2024-01-01)

* first
`;
const dated = `1.3.0 / 2024-03-01
==================

  * third

1.2.0 / 2024-02-01
==================

  * second, as in 1.1.0

1.1.0 / 2024-01-01
==================

  * first
`;
const changesets = `# it

## 1.3.0

### Minor Changes

- third

## 1.2.0

- second

## 1.1.0

- first
`;
const others = `v1.3.0 - March 1, 2024
* third

**1.2.0** (2024-02-01)
* second

## it@1.1.0
* first
`;

describe("sectionsBetween", () => {
  it.each(Object.entries({ keepAChangelog, conventional, dated, changesets, others }))(
    "finds what came after the old version up to the new one (%s)",
    (_name, text) => {
      const one = sectionsBetween(text, "1.1.0", "1.2.9");
      const both = sectionsBetween(text, "1.1.0", "1.3.0");

      expect(one).toContain("second");
      expect(one).not.toMatch(/first\n|third|not yet/);
      expect(both).toContain("third");
      expect(both).toContain("second");
      expect(both).not.toMatch(/\* first|- first|not yet/);
    },
  );

  it("keeps each section's heading and its order, and takes no version in a sentence for a heading", () => {
    expect(sectionsBetween(dated, "1.1.0", "1.2.0")).toBe(
      "1.2.0 / 2024-02-01\n==================\n\n  * second, as in 1.1.0",
    );
    expect(sectionsBetween(keepAChangelog, "1.2.0", "1.3.0")).toContain("- third for node 20.0.0");
  });

  it("is empty where nothing is said of those versions", () => {
    expect(sectionsBetween(dated, "1.3.0", "2.0.0")).toBe("");
    expect(sectionsBetween("", "1.0.0", "2.0.0")).toBe("");
    expect(sectionsBetween("It got better.\n", "1.0.0", "2.0.0")).toBe("");
  });

  it("is cut where it is long, a line of any length among it", () => {
    const many = `## 1.1.0\n\n${"- something else\n".repeat(1000)}`;
    const long = `## 1.1.0\n${"x".repeat(5_000_000)}\n`;

    expect(sectionsBetween(many, "1.0.0", "1.1.0").length).toBeLessThan(2010);
    expect(sectionsBetween(many, "1.0.0", "1.1.0")).toMatch(/^## 1\.1\.0[^]*\[…\]$/);
    expect(sectionsBetween(long, "1.0.0", "1.1.0").length).toBeLessThan(2010);
  });
});
