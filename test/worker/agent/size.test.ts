import { expect, test } from "vitest";
import type { Message } from "../../../worker/agent/model.ts";
import { createPromptSizes, estimateTokens } from "../../../worker/agent/size.ts";

const user = (text: string): Message => ({ role: "user", text });

test("of a list that is only added to, what the server counted is taken, and the rest is estimated", () => {
  const sizes = createPromptSizes();
  const messages = [user("one"), user("two")];
  sizes.counted(messages, 1000);
  messages.push(user("three"));

  expect(sizes.estimate(messages, [])).toEqual({ tokens: 1000 + estimateTokens([user("three")]), counted: 1000 });
});

test("a list that was rewritten is estimated anew, also when it is as long as before", () => {
  const sizes = createPromptSizes();
  const messages = [user("one"), user("two"), user("three")];
  sizes.counted(messages, 1000);
  messages.splice(1, 2, user("a summary"), user("four"));

  expect(sizes.estimate(messages, []).counted).toBe(0);
});
