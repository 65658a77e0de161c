import { expect, test } from "vitest";
import { defaultSettings } from "../../src/settings.ts";
import type { AgentEnd } from "../../worker/agent/loop.ts";
import { ModelError } from "../../worker/agent/model.ts";
import { endingOutcome, rejectionText, withWork } from "../../worker/endings.ts";

const { limits } = defaultSettings;
type Ending = Exclude<AgentEnd, { end: "submitted" }>;

test.each<{ end: Ending; cause: string; what: RegExp; next: RegExp }>([
  { end: { end: "out-of-steps" }, cause: "out of steps", what: /limit is 300 steps/, next: /Raise `limits.steps`/ },
  {
    end: { end: "out-of-tokens" },
    cause: "out of tokens",
    what: /limit is 40000000 tokens/,
    next: /Raise `limits.tokens`/,
  },
  { end: { end: "out-of-time" }, cause: "out of time", what: /limit is 120 minutes/, next: /Raise `limits.minutes`/ },
  {
    end: { end: "no-answer", text: "Done @ada" },
    cause: "no answer",
    what: /Done @\u{200B}ada/u,
    next: /in the issue/,
  },
  {
    end: { end: "format-errors", text: "bash was not run" },
    cause: "format errors",
    what: /could not be parsed.*bash was not run.*`qwen3_coder`/s,
    next: /doctor --model/,
  },
  {
    end: { end: "stuck", fact: "It gave the same 7 times.", call: "bash make" },
    cause: "stuck",
    what: /in circles.*7 times.*bash make/s,
    next: /in the issue/,
  },
  {
    end: { end: "context-exhausted", contextTokens: 8192 },
    cause: "context exhausted",
    what: /too small.*It has 8192 tokens/s,
    next: /longer context/,
  },
  {
    end: { end: "context-overflow", error: new ModelError("overflow", "It is too long") },
    cause: "context overflow",
    what: /It is too long/,
    next: /longer context/,
  },
  {
    end: { end: "model-failed", error: new ModelError("refused", "Set MODEL_API_KEY") },
    cause: "model refused",
    what: /refused the key/,
    next: /an admin must.*Set MODEL_API_KEY/s,
  },
  {
    end: { end: "model-failed", error: new ModelError("unknown-model", "It serves: gpt-0") },
    cause: "model unknown-model",
    what: /does not serve the model/,
    next: /an admin must.*It serves: gpt-0/s,
  },
  ...(["away", "stalled", "server-error"] as const).map((kind) => ({
    end: { end: "model-failed" as const, error: new ModelError(kind, "Is it running?") },
    cause: `model ${kind}`,
    what: /The model endpoint did not answer/,
    next: /Is it running/,
  })),
  {
    end: { end: "model-failed", error: new ModelError("bad-request", "No MODEL_NAME") },
    cause: "model bad-request",
    what: /did not accept the request/,
    next: /No MODEL_NAME/,
  },
  {
    end: { end: "model-failed", error: new ModelError("repetition", "It repeated") },
    cause: "model repetition",
    what: /over and over/,
    next: /It repeated/,
  },
])("an attempt that ended as $end.end says what happened and what to do", ({ end, cause, what, next }) => {
  const outcome = endingOutcome(end, limits);

  expect(outcome).toMatchObject({ outcome: "gave-up", cause });
  expect(outcome.detail).toMatch(what);
  expect(outcome.detail).toMatch(next);
});

test("an ending keeps the work: the plan, what the checks said, and the change, folded", () => {
  const outcome = withWork(endingOutcome({ end: "out-of-steps" }, limits), {
    plan: ["[x] look", "[ ] mend"],
    rejection: rejectionText({
      reason: "`npm test` fails with the change",
      rows: ["- `npm test`: regressed (exit code 1)"],
      output: "1 failing",
    }),
    patch: "diff --git a/a.js b/a.js\n+</details>\n+```",
  });

  expect(outcome.outcome).toBe("gave-up");
  expect(outcome.detail).toContain("limit is 300 steps");
  expect(outcome.detail).toContain("did not pass: `npm test` fails with the change");
  expect(outcome.detail).toContain("\n\n- `npm test`: regressed (exit code 1)\n\n<details>");
  expect(outcome.detail).toContain("- ☑ look\n- ☐ mend");
  expect(outcome.detail).toContain("````diff\ndiff --git a/a.js b/a.js\n+</details>\n+```\n````\n\n</details>");
});

test("an ending without a change says so", () => {
  const nothing = { plan: [], rejection: undefined, patch: "" };

  expect(withWork(endingOutcome({ end: "stuck", fact: "", call: "" }, limits), nothing).detail).toContain(
    "Nothing was changed yet.",
  );
});
