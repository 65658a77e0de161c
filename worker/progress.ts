import { lastEvent } from "../src/runlog.ts";
import type { CheckSummary, RunEvent, Stamped } from "../src/runlog.ts";
import { cut, inlineCode, inlineText, plainText } from "../src/text.ts";
import { resultOf } from "./body.ts";

/** What a run at work says of itself: a header, and the paragraphs below it in Markdown. */
export interface Progress {
  header: string;
  lines: string[];
  /** Since when it has been waiting for the model, as an ISO time. */
  waitingSince?: string;
}

const mostItems = 8;
const mostRows = 10;

/**
 * Pure: read from the run's log alone, so that it is right after a crash as well. What the model wrote stands in places
 * that are made for it, and does nothing there. `took`: for how long the run has been at work, for people.
 */
export function renderProgress(all: readonly Stamped[], { took, now }: { took: string; now: Date }): Progress {
  // An earlier claim's work is lost, but for what it had written down as passed.
  const claim = all.findLastIndex(({ type }) => type === "claimed");
  const events = all.slice(Math.max(0, claim));
  const waiting = waitingIn(events);
  const { lines, ...progress } =
    waiting === undefined ? progressOf(events, { took, now }) : waitingFor(waiting, { events, now });
  return { ...progress, lines: [...lines, hint] };
}

const hint = "`/agent-fix stop` ends this. What people with write access say here reaches me while I work.";

function progressOf(events: readonly Stamped[], { took, now }: { took: string; now: Date }): Progress {
  switch (phaseOf(events)) {
    case "preparing":
      return { header: `Preparing the sandbox: ${took}`, lines: [] };
    case "measuring":
      return {
        header: `Running the tests before changing anything: ${took}`,
        lines: [...checkRows(events, "base"), ...planOf(events)],
      };
    case "working":
      return { header: workingHeader(events, { took, now }), lines: workingLines(events) };
    case "checking":
      return { header: `Checking the result: ${took}`, lines: [...planOf(events), ...checkRows(events, "head")] };
    case "publishing":
      return { header: `Publishing: ${took}`, lines: checkRows(events, "head") };
  }
}

type Phase = "preparing" | "measuring" | "working" | "checking" | "publishing";

const phases: Partial<Record<RunEvent["type"], Phase>> = {
  claimed: "preparing",
  attempt: "working",
  "tool.intent": "working",
  "agent.end": "checking",
  gate: "working",
  "publish.intent": "publishing",
};

function phaseOf(events: readonly Stamped[]): Phase {
  const event = events.findLast(({ type }) => phases[type] !== undefined);
  if (event?.type === "gate" && event.passed) return "publishing";
  if (event?.type === "agent.end" && event.end !== "submitted") return "working";
  const phase = (event && phases[event.type]) ?? "preparing";
  if (phase !== "working" || baseOf(events) !== undefined) return phase;
  return lastEvent(events, "tool.intent") === undefined ? "measuring" : "working";
}

type Waiting = Extract<Stamped, { type: "model.waiting" }>;

/** The first and the last that was told of the wait that goes on. */
function waitingIn(events: readonly Stamped[]): { first: Waiting; last: Waiting } | undefined {
  const over = events.findLastIndex(
    (event) => event.type === "model.result" || (event.type === "model.waiting" && event.reason === undefined),
  );
  const told = events.slice(over + 1).filter((event) => event.type === "model.waiting");
  const [first, last] = [told[0], told.at(-1)];
  return first && last && { first, last };
}

function waitingFor(
  { first, last }: { first: Waiting; last: Waiting },
  { events, now }: { events: readonly Stamped[]; now: Date },
): Progress {
  const step = lastEvent(events, "model.intent")?.step ?? 1;
  const reason = inlineText(last.reason ?? "");
  return {
    header: `Waiting for the model since ${first.at.slice(11, 16)} UTC, ${timeSince(first.at, now)}`,
    lines: [
      `Reason: ${reason}. Waiting costs no limit, and I continue at step ${step} when it is back.`,
      ...planOf(events),
    ],
    waitingSince: first.at,
  };
}

function workingHeader(events: readonly Stamped[], { took, now }: { took: string; now: Date }): string {
  const step = lastEvent(events, "model.intent")?.step;
  const most = lastEvent(events, "attempt")?.mostSteps;
  const steps = step === undefined ? "" : `, step ${step}${most === undefined ? "" : ` of ${most}`}`;
  return `Working: ${took}, active ${timeSince(events.at(-1)?.at, now)} ago${steps}`;
}

function timeSince(at: string | undefined, now: Date): string {
  const seconds = Math.max(0, Math.round((now.getTime() - new Date(at ?? now).getTime()) / 1000));
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

function workingLines(events: readonly Stamped[]): string[] {
  const call = lastEvent(events, "tool.intent");
  const base = baseOf(events);
  return [
    ...(call === undefined ? [] : [`Last step: ${actionOf(call)}`]),
    base === undefined
      ? "Before the change: the checks are still running."
      : `Before the change: ${base.slice(0, mostRows).map(told).join("; ")}.`,
    ...planOf(events),
  ];
}

function actionOf({ name, summary }: Extract<RunEvent, { type: "tool.intent" }>): string {
  return summary.trim() === "" ? inlineCode(name) : `${inlineText(name)} ${inlineCode(plainText(summary, 100))}`;
}

function told(check: CheckSummary): string {
  return `${inlineCode(check.run)} ${inlineText(resultOf(check))}`;
}

/** The model's plan in a frame of ours. Its boxes can't be ticked: a tick would edit the comment, and change nothing. */
function planOf(events: readonly Stamped[]): string[] {
  const items = lastEvent(events, "plan")?.items.slice(0, mostItems) ?? [];
  if (items.length === 0) return [];
  return [["> The model's plan:", ">", ...items.map((item) => `> ${planLine(item)}`)].join("\n")];
}

/** An item of a plan, which may begin with `[x]`, as one of a list. */
export function planLine(item: string): string {
  const [, mark = " ", text = ""] = /^(?:\[([ xX])\]\s*)?(.*)$/s.exec(item) ?? [];
  return `- ${mark === " " ? "☐" : "☑"} ${inlineText(cut(text, 200))}`;
}

function baseOf(events: readonly Stamped[]): CheckSummary[] | undefined {
  const found = events.findLast((event) => event.type === "checks" && event.leg === "base");
  return found?.type === "checks" ? found.results : undefined;
}

/** What the checks came to so far, on the base or on the change that is judged. */
function checkRows(events: readonly Stamped[], leg: "base" | "head"): string[] {
  const submitted = leg === "base" ? -1 : events.findLastIndex(({ type }) => type === "agent.end");
  const ends = events
    .slice(submitted + 1)
    .flatMap((event) => (event.type === "check" && event.leg === leg ? [[event.run, event.end] as const] : []));
  const results = new Map(ends);
  const before = new Map(leg === "base" ? [] : baseOf(events)?.map((check) => [check.run, resultOf(check)]));
  const all = new Set([...results.keys(), ...(lastEvent(events, "environment")?.checks ?? [])]);
  const rows = [...all].map((run) => {
    const was = before.get(run);
    const known = was === undefined ? "" : ` (before the change: ${inlineText(was)})`;
    return `- ${inlineCode(run)}: ${inlineText(results.get(run) ?? "not yet")}${known}`;
  });
  if (rows.length === 0) return [];
  const more = rows.length - mostRows;
  return [[...rows.slice(0, mostRows), ...(more > 0 ? [`- ${more} more`] : [])].join("\n")];
}
