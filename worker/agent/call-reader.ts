import type { Taken } from "./coerce.ts";
import { readJsonCalls } from "./json-calls.ts";
import { beginsAt, closesFence, kindAfter, tagAt } from "./tags.ts";
import type { Meter, Tag, Tags } from "./tags.ts";

/** Examples within examples: what is deeper is text. */
const deepest = 50;

/** A call as it stands in a text, whether or not there is such a tool. */
export interface WrittenCall {
  name: string;
  start: number;
  end: number;
  /** Its end was seen. */
  complete: boolean;
  /** Where the value of each parameter stands, with the line ends around it. */
  values?: Map<string, Place>;
  /** The arguments of a call that is written in JSON. */
  given?: unknown;
  lastValue?: Place;
  /** The line that opens the Markdown fence around it. */
  fence: Tag | undefined;
}

interface Place {
  from: number;
  to: number;
}

/** A value whose end is not reached; the counts are of tags in it that seem to open something. */
interface OpenValue {
  key: string;
  from: number;
  call: number;
  function: number;
  parameter: number;
}

/** A call whose end is not reached. */
interface OpenCall extends WrittenCall {
  value: OpenValue | undefined;
  /** Calls in the open value: text of it when the value ends, and calls of their own when it never does. */
  inner: WrittenCall[] | undefined;
}

export interface Reading {
  text: string;
  tags: Tags;
  /** Undefined for a tool that does not exist. */
  taken: (tool: string) => Taken | undefined;
  meter: Meter;
}

interface Progress extends Reading {
  calls: WrittenCall[];
  /** Each stands in the value of the one before it. */
  open: OpenCall[];
  fence: Tag | undefined;
  /** The call before the text that is being read, and whether something else began since then. */
  last: { call: WrittenCall; doubtful: boolean } | undefined;
}

/**
 * The calls between a text's tags, in order. Values are not escaped, so a tag in one can be text: which it is depends on
 * the tags next to it, on what was opened before it, and on whether the value ends later. Every tag is looked at a
 * bounded number of times.
 */
export function readCalls(reading: Reading): WrittenCall[] {
  const progress: Progress = { ...reading, calls: [], open: [], fence: undefined, last: undefined };
  for (let at = 0; tagAt(reading.tags, at).kind !== "end"; reading.tags.leave(at)) {
    reading.meter.steps++;
    const call = progress.open.at(-1);
    if (call === undefined) at = readContent(progress, at);
    else if (call.value === undefined) at = readBetween(progress, at, call);
    else at = readValue(progress, at, { call, value: call.value });
  }
  endOfText(progress);
  return progress.calls;
}

function readContent(progress: Progress, at: number): number {
  const { tags, fence, last } = progress;
  const tag = tagAt(tags, at);
  if (tag.kind === "/parameter") return extendLast(progress, at);
  if (tag.kind === "/function" || tag.kind === "/call" || tag.kind === "parameter") return at + 1;
  if (last !== undefined) last.doubtful = true;
  if (tag.kind === "call") return readOpener(progress, at);
  if (tag.kind === "function" && fence === undefined && beginsAt(tags, at) !== undefined)
    return openCall(progress, at, at);
  if (tag.kind === "fence") {
    if (fence === undefined) progress.fence = tag;
    else if (closesFence(fence.name, tag.name)) progress.fence = undefined;
  }
  return at + 1;
}

/** At a `<tool_call>`. */
function readOpener(progress: Progress, at: number): number {
  if (kindAfter(progress.tags, at) === "function") return openCall(progress, at, at + 1);
  const found = readJsonCalls(progress, at, progress.fence);
  for (const call of found?.calls ?? []) keepCall(progress, call);
  return found?.next ?? at + 1;
}

/** Between two parameters, or before the first. */
function readBetween(progress: Progress, at: number, call: OpenCall): number {
  const tag = tagAt(progress.tags, at);
  switch (tag.kind) {
    case "parameter":
      openValue(call, tag);
      return at + 1;
    case "/function":
    case "/call":
      return endCall(progress, at, call);
    case "call":
    case "function":
      if (beginsAt(progress.tags, at) === undefined) return at + 1;
      // The model left the closing tags out and went on.
      closeCall(progress, tag.start, call.values !== undefined);
      return at;
    case "/parameter":
    case "fence":
    case "end":
      return at + 1;
  }
}

function readValue(progress: Progress, at: number, { call, value }: { call: OpenCall; value: OpenValue }): number {
  const tag = tagAt(progress.tags, at);
  switch (tag.kind) {
    case "call":
    case "function": {
      const mayBegin = (tag.kind === "call" || tag.leads) && progress.open.length < deepest;
      const begins = mayBegin ? beginsAt(progress.tags, at) : undefined;
      if (begins !== undefined) return openCall(progress, at, begins);
      value[tag.kind]++;
      return at + 1;
    }
    case "parameter":
      if (startsNext(progress, tag, call)) {
        closeValue(call, tag.start);
        openValue(call, tag);
      } else value.parameter++;
      return at + 1;
    case "/parameter":
      if (endsValue(progress, at, call)) closeValue(call, tag.start);
      else value.parameter = Math.max(0, value.parameter - 1);
      return at + 1;
    case "/function":
    case "/call":
      return readBareEnd(progress, at, { call, value });
    case "fence":
    case "end":
      return at + 1;
  }
}

/** At a `</function>` or `</tool_call>` that the value's own end does not come before. */
function readBareEnd(progress: Progress, at: number, { call, value }: { call: OpenCall; value: OpenValue }): number {
  const opener = tagAt(progress.tags, at).kind === "/call" ? "call" : "function";
  const isOpened = value[opener] > 0;
  if (isOpened) value[opener]--;
  if (isOpened || !endsBare(progress, at, call)) return at + 1;
  closeValue(call, tagAt(progress.tags, at).start);
  return endCall(progress, at, call);
}

function endOfText({ text, open, calls, meter }: Progress): void {
  const [call] = open;
  if (call === undefined) return;
  const { inner: within = [] } = call;
  const inner = open.length === 1 && isOnlyCalls(within, text, meter) ? within : [];
  const end = inner[0]?.start ?? text.length;
  if (call.value !== undefined) closeValue(call, end);
  call.end = end;
  calls.push(call);
  for (const each of inner) calls.push(each);
}

/** Whether complete calls, and nothing else, stand from the first of them to the text's end. */
function isOnlyCalls(calls: readonly WrittenCall[], text: string, meter: Meter): boolean {
  return calls.every(({ complete, end }, index) => {
    const gap = text.slice(end, calls[index + 1]?.start ?? text.length);
    meter.steps += gap.length + 1;
    return complete && gap.trim() === "";
  });
}

/** Closing tags after a call: what seemed to be its end was text of its last value, unless it is not clear whose they are. */
function extendLast({ tags, last }: Progress, at: number): number {
  const value = last?.call.lastValue;
  if (last === undefined || value === undefined || kindAfter(tags, at) !== "/function") return at + 1;
  if (last.doubtful) last.call.complete = false;
  else if (isEnd(tags, at + 1, last.call)) {
    value.to = tagAt(tags, at).start;
    last.call.end = tagAt(tags, at + 1).end;
  }
  return at + 2;
}

function openCall(progress: Progress, at: number, named: number): number {
  const { tags, open } = progress;
  const { start } = tagAt(tags, at);
  const { name, end } = tagAt(tags, named);
  const fence = open[0] === undefined ? progress.fence : open[0].fence;
  open.push({ name, start, end, complete: false, fence, value: undefined, inner: undefined });
  return named + 1;
}

/** The closing tag `at` ends the call. */
function endCall(progress: Progress, at: number, call: OpenCall): number {
  const { tags } = progress;
  const wrapped = tagAt(tags, at).kind === "/function" && kindAfter(tags, at) === "/call";
  const end = wrapped ? at + 1 : at;
  const complete = tagAt(tags, end).kind === "/call" || call.values === undefined || isEnd(tags, at, call);
  closeCall(progress, tagAt(tags, end).end, complete);
  return end + 1;
}

function closeCall(progress: Progress, end: number, complete: boolean): void {
  const call = progress.open.pop();
  if (call === undefined) return;
  Object.assign(call, { end, complete });
  const around = progress.open.at(-1);
  if (around === undefined) keepCall(progress, call);
  else (around.inner ??= []).push(call);
}

function keepCall(progress: Progress, call: WrittenCall): void {
  progress.calls.push(call);
  progress.last = { call, doubtful: false };
}

function openValue(call: OpenCall, { name, end }: Tag): void {
  call.value = { key: name, from: end, call: 0, function: 0, parameter: 0 };
}

function closeValue(call: OpenCall, to: number): void {
  const { value } = call;
  if (value === undefined) return;
  call.lastValue = { from: value.from, to };
  call.values ??= new Map();
  call.values.set(value.key, call.lastValue);
  call.value = undefined;
  call.inner = undefined;
}

/** Whether a parameter begins though the one before it has no closing tag. */
function startsNext({ taken, text }: Progress, { name, leads }: Tag, call: OpenCall): boolean {
  const isNew = name !== call.value?.key && call.values?.has(name) !== true;
  return isNew && isKnown(taken(call.name), name) && (leads || isInline(text, call));
}

/** Whether the `</parameter>` is no text of the value. */
function endsValue({ tags, taken, open }: Progress, at: number, call: OpenCall): boolean {
  const kind = kindAfter(tags, at);
  const isInner = open.length > 1;
  if (kind === "call" || kind === "function") return beginsAt(tags, at + 1) !== undefined;
  if (kind === "/function") return isInner || isEnd(tags, at + 1, call);
  if (kind === "/call") return isInner || isLast(tags, at + 1, call);
  if (kind === "parameter") return call.value?.parameter === 0 || isKnown(taken(call.name), tagAt(tags, at + 1).name);
  return kind === "end";
}

/** Whether a `</function>` or `</tool_call>` ends a value that has no closing tag. */
function endsBare({ tags, text }: Progress, at: number, call: OpenCall): boolean {
  const { kind, leads } = tagAt(tags, at);
  const wrapped = kind === "/function" && kindAfter(tags, at) === "/call";
  return (leads || isInline(text, call)) && isLast(tags, wrapped ? at + 1 : at, call);
}

function isEnd(tags: Tags, at: number, call: WrittenCall): boolean {
  return kindAfter(tags, at) === "/call" || isLast(tags, at, call);
}

function isLast(tags: Tags, at: number, { fence }: WrittenCall): boolean {
  const kind = kindAfter(tags, at);
  return kind === "call" || kind === "function" || kind === "end" || (kind === "fence" && fence !== undefined);
}

/** The template puts values on lines of their own; this one is not. */
function isInline(text: string, { value }: OpenCall): boolean {
  return value !== undefined && !["\n", "\r"].includes(text[value.from] ?? "");
}

function isKnown(taken: Taken | undefined, parameter: string): boolean {
  return taken !== undefined && Object.hasOwn(taken.properties, parameter);
}
