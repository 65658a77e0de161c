import { pauseAsked } from "../src/pause.ts";
import type { StatusWriter } from "../src/status-comment.ts";
import { renderStatus } from "../src/status.ts";
import type { StatusMarker } from "../src/status.ts";
import type { Progress } from "./progress.ts";

/**
 * Keeps one status comment up to date: at most one edit under way, and an edit says what holds when it begins. One that
 * fails is not worth a run, and the next makes up for it; the final one reports its failure. Once disposed of, it begins
 * no edit, and the one under way has ended.
 */
export interface Reporter extends AsyncDisposable {
  /** There is news, which is written when the next edit is due. */
  say: () => void;
  /** `covers`: the newest trigger that the run answers, where it is not the one that began it. */
  finish(
    state: StatusMarker["state"],
    header: string,
    lines: string[],
    ended?: Partial<Record<"covers" | "cause" | "head" | "until", string | undefined>>,
  ): Promise<void>;
}

export interface ReportTarget {
  writer: StatusWriter;
  marker: StatusMarker;
  /** The least time between two edits, in milliseconds. */
  everyMs: number;
  /** The longest, from the first news on. Default: 5 minutes. */
  heartbeatMs?: number;
  /** Passed before every edit: a run that was taken over edits nothing. */
  guard: () => Promise<void>;
  /** How the work stands. */
  progress: () => Progress;
  /** What stands below every text, as it is at the time. */
  facts: () => string[];
}

export function createReporter({ writer, marker, guard, progress, facts, ...pace }: ReportTarget): Reporter {
  const { everyMs, heartbeatMs = 5 * 60_000 } = pace;
  let isClosed = false;
  let editing: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let mayEditAt = 0;
  let hasNews = false;

  const editAt = (time: number) => {
    clearTimeout(timer);
    if (isClosed) return;
    timer = setTimeout(
      () => {
        editing = edit();
      },
      Math.max(0, time - performance.now()),
    );
  };
  const edit = async () => {
    const began = performance.now();
    hasNews = false;
    const pauseMs = await tell().catch(pauseAsked);
    mayEditAt = Math.max(began + everyMs, performance.now() + (pauseMs ?? 0));
    editing = undefined;
    editAt(hasNews ? mayEditAt : Math.max(mayEditAt, began + heartbeatMs));
  };
  const tell = async (): Promise<undefined> => {
    await guard();
    const { header, lines, waitingSince } = progress();
    const told: StatusMarker =
      waitingSince === undefined
        ? { ...marker, state: "working" }
        : { ...marker, state: "waiting-model", since: waitingSince };
    await writer.tell(renderStatus(told, header, [...lines, ...facts()]));
  };
  const close = async () => {
    isClosed = true;
    clearTimeout(timer);
    await editing;
  };
  return {
    say() {
      hasNews = true;
      if (editing === undefined) editAt(mayEditAt);
    },
    async finish(state, header, lines, { covers = marker.trigger, cause, head, until } = {}) {
      await close();
      const ended = {
        ...marker,
        state,
        trigger: covers,
        ...(cause !== undefined && { cause: cause.slice(0, 100) }),
        ...(head !== undefined && { head }),
        ...(until !== undefined && { until }),
      };
      await guard();
      await writer.end(renderStatus(ended, header, [...lines, ...facts()]));
    },
    [Symbol.asyncDispose]: close,
  };
}
