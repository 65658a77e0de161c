import { numberIn, taskBranch } from "../branches.ts";
import { RefusedError } from "../errors.ts";
import type { Forge, Pull } from "../forge.ts";
import type { IntakeDeps } from "../intake/start.ts";
import type { Actor, RepoRef } from "../job.ts";
import { withLock } from "../lock.ts";
import { readModelState } from "../model-state.ts";
import type { Queues } from "../queue.ts";
import { parseSettings, settingsPath } from "../settings.ts";
import type { Settings } from "../settings.ts";
import { waits } from "../waiting.ts";
import { applyAsk } from "./ask.ts";
import type { Ask } from "./ask.ts";
import { nothingShown, readBoard, showBoard, showOnCommit } from "./board.ts";
import type { BoardIssue } from "./board.ts";
import { renderDashboard } from "./dashboard.ts";
import type { Row } from "./dashboard.ts";
import { decideTask } from "./decide.ts";
import type { Room } from "./decide.ts";
import { readChecks } from "./checks.ts";
import { doneWith, dueOf, renamedPull } from "./due.ts";
import type { ShownRun } from "./lines.ts";
import { keepLook } from "./looked.ts";
import { loadMemory, rememberedOf, saveMemory } from "./memory.ts";
import type { Memory } from "./memory.ts";
import { onboard } from "./onboarding.ts";
import { readQuestions } from "./questions.ts";
import { nextTime, timeIn } from "./schedule.ts";
import { readPulls } from "./standing.ts";
import { tellSettings } from "./settings-issue.ts";
import type { View } from "./standing.ts";
import { startTask, startTaskAgain } from "./start.ts";
import { closeUnneeded, openIn, tellEdited, tellTurnedDown } from "./tidy.ts";

const turnLimitMs = 60_000;
const hourMs = 3600_000;

/** What brings us here, beside the time: a person's command, or ticks. */
export interface Asked {
  ask?: Ask;
  /** Who ticked the dashboard's boxes, if that is known. `refused`: they may not. */
  ticked?: Actor | "refused" | undefined;
}

/**
 * Looks after what a repository wants done without being asked: a first pull request where it has no settings, the tasks
 * that are due, and the dashboard. One process at a time; safe to repeat. Returns what to answer on a command.
 */
export async function upkeep(repo: RepoRef, deps: IntakeDeps, asked: Asked = {}): Promise<string> {
  return withLock(deps.queues.redis, `upkeep-${repo.id}`, turnLimitMs, async () => {
    const { answer, settings } = await look(repo, deps, asked);
    // Only now: of a look that failed half-way the next sweep has to make good.
    await keepLook(repo, deps, settings);
    return answer;
  });
}

/** What to answer, and the text of the settings that count here. */
async function look(repo: RepoRef, deps: IntakeDeps, asked: Asked): Promise<{ answer: string; settings: string }> {
  const forge = deps.host.forge(repo, "report");
  const { archived, fork, hasIssues, defaultBranch } = await forge.repository();
  if (archived) return { answer: "This repository is archived.", settings: "" };
  const text = await forge.readFile(settingsPath);
  const parsed = parseSettings(text ?? "");
  if (hasIssues) await tellSettings(forge, parsed, deps.queues.redis);
  if (text === undefined && !fork) await onboard(repo, deps, forge, defaultBranch);
  if (!parsed.ok) return { answer: `\`${settingsPath}\` cannot be used: mend it first.`, settings: "" };
  const settings = inFork(fork, parsed.settings);
  const branch = hasIssues ? undefined : defaultBranch;
  const answer = await lookAfter({ repo, deps, forge, settings, branch }, asked);
  return { answer, settings: settings === parsed.settings ? (text ?? "") : "" };
}

/** A fork has its parent's settings, and nobody asked for their tasks there. */
function inFork(isFork: boolean, settings: Settings): Settings {
  return isFork && !settings.unattended.forks ? { ...settings, maintenance: {} } : settings;
}

interface Place {
  repo: RepoRef;
  deps: IntakeDeps;
  forge: Forge;
  settings: Settings;
  /** On whose newest commit the dashboard is shown, where issues are disabled. */
  branch: string | undefined;
}

async function lookAfter(place: Place, { ask, ticked }: Asked): Promise<string> {
  const { repo, deps, forge, settings, branch } = place;
  const { redis } = deps.queues;
  const board = branch === undefined ? await readBoard(forge, redis) : nothingShown;
  const before = await loadMemory(redis, repo, board.memory);
  const keys = Object.keys(settings.maintenance);
  if (!settings.unattended.dryRun) await closeUnneeded(deps, repo, keys).catch(goOn(repo, deps));
  const views = await viewAll(place, before);
  // That a schedule was seen counts from now on, whatever happens next.
  await saveMemory(redis, repo, memoryOf(views));
  const ticks = await ticksAsAsks(board, deps, ticked);
  const answers: string[] = [];
  for (const one of [...ticks, ...(ask === undefined ? [] : [ask])]) answers.push(await applyAsk(one, views, place));
  const rows = await actOnAll(views, place);
  await saveMemory(redis, repo, memoryOf(views));
  await tellTurnedDown(forge, redis, views).catch(goOn(repo, deps));
  await tellEdited(forge, redis, views).catch(goOn(repo, deps));
  await show({ board, rows, memory: memoryOf(views) }, place);
  return answers.at(-1) ?? "";
}

async function viewAll({ deps, forge, settings }: Place, before: Memory): Promise<View[]> {
  const views: View[] = [];
  const { botLogin } = await deps.host.app();
  for (const [key, task] of Object.entries(settings.maintenance)) {
    const memory = rememberedOf(task, before[key], deps.now());
    const { pulls, open, closed } = await readPulls(forge, { key, task, memory }, botLogin);
    const branches = numberIn(taskBranch(key), pulls.at(-1)?.head.branch ?? "");
    const isLive = memory.run !== undefined && (await deps.queues.isLive(memory.run.id));
    views.push({
      key,
      task,
      memory: { ...memory, ...(branches !== undefined && { branches }) },
      pulls,
      standing: { isLive, open, closed },
    });
  }
  return views;
}

function memoryOf(views: readonly View[]): Memory {
  return Object.fromEntries(views.map(({ key, memory }) => [key, memory]));
}

async function ticksAsAsks(
  { ticks, print }: BoardIssue,
  { host }: IntakeDeps,
  ticked: Asked["ticked"],
): Promise<Ask[]> {
  if (ticks.length === 0 || ticked === "refused") return [];
  const { id, botLogin } = await host.app();
  // Only people with write access can edit an issue of ours, so a tick that no event told of counts as well.
  const actor = ticked ?? { id, login: botLogin };
  // Named by the text that it stands in: found again, since that could not be written anew, it is still the same.
  return ticks.map((tick) => ({ ...tick, actor, trigger: `tick-${print}` }));
}

/** Starts what is due, one after the other, since each start leaves less room for the next. */
async function actOnAll(views: readonly View[], { deps, repo, forge, settings }: Place): Promise<Row[]> {
  const rows: Row[] = [];
  const now = deps.now();
  const { id, botLogin } = await deps.host.app();
  for (const view of views) {
    const { key, task, memory, standing } = view;
    const due = dueOf(task, memory, { now, renamed: await renamedPull(forge, view) });
    const decision = decideTask({ task, memory, due: due?.name }, standing, roomIn(views, now), settings.unattended);
    if (decision.do === "start-again") await startTaskAgain(deps, repo, view);
    if (decision.do === "start") {
      const isKnown = await startTask(deps, repo, view, { trigger: decision.trigger, actor: { id, login: botLogin } });
      if (isKnown && due !== undefined) view.memory = doneWith(view.memory, due);
    }
    if (decision.do === "wait" && decision.isOver && due !== undefined) {
      const { run: _, ...rest } = memory;
      view.memory = doneWith(rest, due);
    }
    deps.log.debug({ repo: `${repo.owner}/${repo.name}`, task: key, decision }, "a task was looked at");
    const time = nextTime(task, now);
    const next = time === undefined ? "never" : timeIn(task.timezone, time);
    const open = openIn(view);
    const checks = open && (await readChecks(deps.queues.redis, repo, open));
    rows.push({ key, task, decision, standing, last: view.memory.last, next, checks });
  }
  return rows;
}

function roomIn(views: readonly View[], now: Date): Room {
  const opening = views.filter(({ standing }) => standing.isLive && standing.open === undefined).length;
  const open = views.filter(({ standing }) => standing.open !== undefined).length;
  const isNew = ({ createdAt }: Pull) => now.getTime() - Date.parse(createdAt) < hourMs;
  const lastHour = views.flatMap(({ pulls }) => pulls.filter(isNew)).length;
  return { now, open: open + opening, lastHour: lastHour + opening };
}

interface Shown {
  board: BoardIssue;
  rows: readonly Row[];
  memory: Memory;
}

async function show({ board, rows, memory }: Shown, { deps, forge, repo, settings, branch }: Place): Promise<void> {
  if (rows.length === 0 && board.issue === undefined) return;
  const { queues } = deps;
  const limits = settings.unattended;
  const runs = await shownRuns(queues, repo);
  const isAnswered = (issue: number) =>
    runs.some(({ run: { subject } }) => subject.kind === "issue" && subject.number === issue);
  const questions = (await readQuestions(queues.redis, repo)).filter((issue) => !isAnswered(issue));
  const model = await readModelState(queues.redis);
  const rendered = renderDashboard({ rows, runs, questions, model, memory, isDryRun: limits.dryRun, limits });
  const showing =
    branch === undefined
      ? showBoard({ forge, redis: queues.redis, clean: deps.host.clean }, board, rendered)
      : showOnCommit(deps.host.forge(repo, "check"), queues.redis, await forge.branchHead(branch), rendered);
  await showing.catch(goOn(repo, deps));
}

async function shownRuns(queues: Queues, repo: RepoRef): Promise<ShownRun[]> {
  const [live, places] = await Promise.all([queues.liveIn(repo.id), waits(queues)]);
  return live.map((one) => ({ ...one, wait: places.get(one.run.runId) }));
}

/** What the code host refuses at one place keeps nothing else from being done. */
function goOn({ owner, name }: RepoRef, { log }: Pick<IntakeDeps, "log">): (error: unknown) => void {
  return (error) => {
    if (!(error instanceof RefusedError)) throw error;
    log.warn({ repo: `${owner}/${name}`, why: error.why, error: error.message }, "a part of the upkeep was refused");
  };
}
