import assert from "node:assert/strict";
import { test } from "node:test";
import { slugify } from "../src/slug.js";

test("a title of two words becomes two words with a dash", () => {
  assert.equal(slugify("Hello World"), "hello-world");
});

test("accents are taken off", () => {
  assert.equal(slugify("Café Crème"), "cafe-creme");
});
