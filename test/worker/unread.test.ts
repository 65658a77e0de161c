import { expect, it } from "vitest";
import { commentText, issueMessages, reviewMessages } from "../../worker/prompts/messages.ts";
import { unreadText } from "../../worker/unread.ts";
import { pointOf } from "./support.ts";

const picture = "See ![the page](https://github.com/user-attachments/assets/1-2)";
const file = "and [trace.log](https://github.com/user-attachments/files/3/trace.log).";
const context = { repo: "o/r", root: "/r", checks: [], baseline: undefined, hosts: [], instructions: [], nonce: "n" };
const repository = { ...context, contextTokens: 100_000 };

it("what is attached is named to people as not read, each once", () => {
  expect(unreadText([`${picture} ${file}`, file])).toBe(
    "Not read, since I can't open attachments: 1-2 (picture), trace.log (log)",
  );
  expect(unreadText(["Nothing is attached."])).toBeUndefined();
});

it("a text that no parser gets through is named to people, and the model reads a sentence instead", () => {
  const body = "<b>".repeat(20_000);

  expect(unreadText([body, picture])).toBe(
    "Not read, since its Markdown is too complicated: a text of 60000 characters. Not read, since I can't open attachments: 1-2 (picture)",
  );
  expect(issueMessages({ ...repository, nonce: "f00", title: "t", body })[1]?.text).toContain(
    "(This text could not be read: its Markdown is too complicated.)",
  );
});

it.each([
  [
    "an issue's comment",
    () => issueMessages({ ...repository, title: "t", body: "b", remarks: [{ by: "ada", body: file }] })[1]?.text,
  ],
  [
    "a point of a review",
    () =>
      reviewMessages({ ...repository, title: "t", diff: "", points: [pointOf("t1", file)], applied: [], round: 1 })[1]
        ?.text,
  ],
  ["a comment while it works", () => commentText({ by: "ada", text: file, nonce: "n" })],
])("the model is told by name and type what is attached to %s", (_what, text) => {
  expect(text()).toContain("trace.log (log)");
});
