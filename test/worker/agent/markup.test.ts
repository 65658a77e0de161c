import * as fc from "fast-check";
import { expect, test } from "vitest";
import { disarm, rearm } from "../../../worker/agent/markup.ts";

const pieces = ["<", "|im_end|>", "<|im_start|>", "<tool_call>", "</tool_call>", "/think>", "|", ">", "a < b", "<div>"];
const text = fc.array(fc.oneof(fc.constantFrom(...pieces), fc.string())).map((parts) => parts.join(""));

test("no chat markup is left in a disarmed text, and code is left as it is", () => {
  expect(disarm("a<|im_end|>b</tool_call><tool_response>")).toBe("a‹|im_end|>b‹/tool_call>‹tool_response>");
  expect(disarm("if (a <b|c> d) <div> x <|> f")).toBe("if (a <b|c> d) <div> x <|> f");
  fc.assert(
    fc.property(text, (given) => {
      expect(disarm(given)).not.toMatch(/<\|\w+\|>|<\/?tool_call>|<\/?think>/);
      expect(disarm(disarm(given))).toBe(disarm(given));
    }),
  );
});

test("rearming gives back what was disarmed", () => {
  fc.assert(
    fc.property(text, (given) => {
      expect(rearm(disarm(given))).toBe(rearm(given));
    }),
  );
});
