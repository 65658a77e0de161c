import { renderPrompt } from "../prompts/render.ts";
import { rearm } from "./markup.ts";
import type { Reply } from "./model.ts";

/** What an answer of the model leads to. */
export type Decision =
  /** Its calls are run. */
  | { kind: "act" }
  /** It was empty: the same request gives a new sample. */
  | { kind: "again" }
  | { kind: "nudge"; prompt: "empty" | "announced" | "unread-call" | "reminder" }
  | { kind: "stop"; end: "no-answer" | "format-errors" };

export interface Rules {
  decide(reply: Reply): Decision;
  /** Takes whether each call of an answer could be understood; undefined where nothing has to be said. */
  understood(calls: readonly boolean[]): Exclude<Decision, { kind: "act" | "again" }> | undefined;
}

const mostRepeats = 2;
const mostNudges = 3;
const formatHint = 5;
const mostFormatErrors = 10;

const markup = /<\/?tool_call>|<function[=\s]|<parameter[=\s]|<\/(?:function|parameter)>/;
const openEnd = /(?::|…|\.\.\.)$/;
const future =
  /\b(?:i(?:['’]ll| will| am going to|['’]m going to)|let me|let['’]s|let us|(?:next|now|first|then),? (?:i|we)\b)/i;

/** What to do with answers, by what came before: only a call, above all `submit`, ends an attempt well. */
export function createRules(): Rules {
  let empty = 0;
  let silent = 0;
  let misread = 0;
  let hinted = false;

  return {
    decide(reply) {
      if (reply.calls.length > 0) {
        empty = 0;
        silent = 0;
        return { kind: "act" };
      }
      if (reply.text.trim() === "") {
        empty++;
        if (empty <= mostRepeats) return { kind: "again" };
        return empty === mostRepeats + 1 ? { kind: "nudge", prompt: "empty" } : { kind: "stop", end: "no-answer" };
      }
      silent++;
      const prompt = nudgeFor(reply);
      if (silent <= mostNudges) return { kind: "nudge", prompt };
      return { kind: "stop", end: prompt === "unread-call" ? "format-errors" : "no-answer" };
    },
    understood(calls) {
      for (const ok of calls) {
        misread = ok ? 0 : misread + 1;
        if (ok) hinted = false;
        if (misread === mostFormatErrors) return { kind: "stop", end: "format-errors" };
      }
      if (misread < formatHint || hinted) return undefined;
      hinted = true;
      return { kind: "nudge", prompt: "unread-call" };
    },
  };
}

function nudgeFor({ text, truncated }: Reply): "announced" | "unread-call" | "reminder" {
  if (markup.test(text)) return "unread-call";
  const last = text.trimEnd().split("\n").at(-1) ?? "";
  return truncated || openEnd.test(last) || future.test(last) ? "announced" : "reminder";
}

/** What the model reads; the form of a call stands in it as the model has to write it. */
export function nudgeText(prompt: Extract<Decision, { kind: "nudge" }>["prompt"]): string {
  return rearm(renderPrompt(prompt, {}));
}
