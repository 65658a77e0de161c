import { expect, test } from "vitest";
import { rewrittenTag } from "../../../worker/tools/rewritten.ts";

test("a tag that a server may have made out of another is named with what it may have been", () => {
  const note = rewrittenTag('let x: Box<T name="string">;', "/w/a.rs");

  expect(note).toContain('<T name="string">');
  expect(note).toContain("make that out of <T=string>.");
  expect(note).toContain("'<''T=string>'");
});

test.each([
  { what: "a markup file", text: '<input name="q">', path: "/w/a.html" },
  { what: "a tag with more in it", text: '<input name="q" type="text">', path: "/w/a.py" },
  { what: "a tag that the file had", text: 'x <T name="string">', path: "/w/a.rs", before: 'y <T name="string"> z' },
  { what: "other code", text: "a <b && c> d", path: "/w/a.js" },
])("there is no note for $what", ({ text, path, before }) => {
  expect(rewrittenTag(text, path, before)).toBe("");
});
