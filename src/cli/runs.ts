import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { readConfig } from "../config.ts";
import { ConfigError } from "../errors.ts";
import type { Subject } from "../job.ts";
import { evidenceFile, lastEvent, listRuns, readRun, runsDir } from "../runlog.ts";
import type { RunEvent, Stamped } from "../runlog.ts";
import { plainText } from "../text.ts";

export function runsCommand(): Command {
  return new Command("runs")
    .description("What ran on this machine, what happened, why")
    .option("--json", "one JSON object per run")
    .action(({ json }: { json?: boolean }) => {
      const { dataDir } = readConfig();
      const rows = listRuns(dataDir)
        .flatMap((id) => summarise(id, readRun(dataDir, id) ?? []))
        .sort((a, b) => a.started.localeCompare(b.started));
      if (json) for (const row of rows) console.log(JSON.stringify(row));
      else if (rows.length === 0) console.log(`No runs in ${dataDir}.`);
      else
        for (const row of rows)
          console.log(
            `${row.started}  ${row.id}  ${row.subject}  ${row.outcome}${row.cause === undefined ? "" : `: ${row.cause}`}`,
          );
    })
    .addCommand(showCommand());
}

function showCommand(): Command {
  return new Command("show")
    .argument("<id>", "a run's id, as `agent-fix runs` prints it")
    .description("Every event of one run")
    .option("--json", "one JSON object per event")
    .action((id: string, _options: object, command: Command) => {
      // `runs` has the option too, and takes it wherever it stands.
      const { json } = command.optsWithGlobals<{ json?: boolean }>();
      const { dataDir } = readConfig();
      const events = readRun(dataDir, id);
      if (events === undefined)
        throw new ConfigError(
          `There is no run ${JSON.stringify(id)} in ${dataDir}. \`agent-fix runs\` lists them; DATA_DIR names another folder.`,
        );
      for (const event of events)
        console.log(json ? JSON.stringify(event) : `${event.at}  ${event.type.padEnd(15)} ${describe(event)}`);
      const evidence = join(runsDir(dataDir), id, evidenceFile);
      if (!json && existsSync(evidence)) console.log(`What the last verdict rests on: ${evidence}`);
    });
}

interface Row {
  id: string;
  started: string;
  subject: string;
  outcome: string;
  cause: string | undefined;
  pull: string | undefined;
}

function summarise(id: string, events: Stamped[]): Row[] {
  const claimed = lastEvent(events, "claimed");
  const first = events[0];
  if (claimed === undefined || first === undefined) return [];
  const finished = lastEvent(events, "finished");
  const { repo, subject } = claimed.job;
  return [
    {
      id,
      started: first.at,
      subject: `${repo.owner}/${repo.name} ${describeSubject(subject)}`,
      outcome: finished?.outcome ?? "working",
      cause: finished?.cause,
      pull: finished?.pull?.url,
    },
  ];
}

function describeSubject(subject: Subject): string {
  switch (subject.kind) {
    case "issue":
      return `#${subject.number}`;
    case "review":
      return `#${subject.pull} review`;
    case "checks":
      return `#${subject.pull} checks`;
    case "merge":
      return `#${subject.pull} merge`;
    case "question":
      return `#${subject.number} question`;
    case "task":
      return `task ${subject.key}`;
    case "onboarding":
      return "first settings";
  }
}

/** What an event says beside its type, on one line without control characters: repositories and models wrote parts of it. */
export function describe(event: Stamped): string {
  return (says[event.type] as (event: Stamped) => string)(event)
    .replaceAll(/[\s\p{Cc}\p{Cf}]+/gu, " ")
    .trim();
}

type Event<T extends RunEvent["type"]> = Extract<RunEvent, { type: T }>;
const says: { [T in RunEvent["type"]]: (event: Event<T>) => string } = {
  claimed: ({ epoch }) => `epoch ${epoch}`,
  released: () => "given back to the queue",
  snapshot: ({ title }) => title,
  remarks: ({ said, left }) => `${said.length} comments read, ${left} left out`,
  base: ({ branch, commit }) => `${branch} ${commit}`,
  environment: ({ image, setup, checks }) =>
    `${image}; set-up: ${setup.join("; ") || "none"}; checks: ${checks.join("; ")}`,
  setup: ({ ok, ms, output }) =>
    ms === 0 ? "kept from an earlier run" : `${ok ? "ok" : "failed"} in ${ms} ms: ${output.split("\n")[0]}`,
  network: ({ command, hosts, refused }) =>
    `${command}: ${refused.length === 0 ? "nothing refused" : `refused ${refused.join(", ")}`}; open: ${hosts.join(", ") || "none"}`,
  note: ({ text }) => text,
  dependencies: ({ files, packages, more }) => {
    const changes = packages.map(({ name, to }) => `${name} ${to.join(", ") || "removed"}`);
    const listed = [...changes, ...(more === 0 ? [] : [`${more} more`])].join("; ");
    return `${files.join(", ")}${listed === "" ? "" : `: ${listed}`}`;
  },
  updates: ({ updated, left }) => {
    const told = updated.map(({ name, from, to }) => `${name} ${from} to ${to}`);
    return [...told, ...left.map(({ name, why }) => `not ${name}: ${why}`)].join("; ");
  },
  measured: ({ leg, run, value }) => `${leg}: ${run} ${value}`,
  flaky: ({ leg, names, times }) =>
    `${leg}: in ${times} runs ${leg === "base" ? "now this, now that" : "alike"}: ${names.join(", ")}`,
  "token.minted": ({ purpose }) => purpose,
  "token.revoked": ({ purpose }) => purpose,
  check: ({ leg, run, end }) => `${leg}: ${run} ${end}`,
  checks: ({ leg, results }) => `${leg}: ${results.map((check) => `${check.run} ${check.end}`).join("; ")}`,
  attempt: ({ round, model }) => `round ${round} with ${model}`,
  "model.intent": ({ step }) => `step ${step}`,
  earlier: ({ how, by }) => `${how}, asked for by ${by}`,
  "model.cut": ({ text }) => `stopped after: ${plainText(text, 160)}`,
  "model.waiting": ({ reason }) => (reason === undefined ? "goes on" : `waiting for the model: ${reason}`),
  "model.result": ({ calls, usage, ms }) =>
    `${calls} calls, ${usage.promptTokens} + ${usage.completionTokens} tokens, ${ms} ms`,
  "tool.intent": ({ name, summary }) => `${name} ${summary}`,
  "tool.result": ({ name, ok, ms }) => `${name} ${ok ? "ok" : "failed"} in ${ms} ms`,
  compacted: ({ messages, by }) =>
    `${messages} messages gave way to a summary, made by ${by === "model" ? "the model" : "rule"}`,
  plan: ({ items }) => items.join(" / "),
  feedback: ({ points }) => `${points.length} points, on ${points.map(({ url }) => url).join(", ")}`,
  reply: ({ point, disposition, text }) => `${point} ${disposition}: ${plainText(text, 160)}`,
  pushed: ({ commit }) => commit,
  watched: ({ watch }) => `attempt ${watch.attempts}`,
  merge: ({ head, base, conflicts }) => `${base} into ${head}, conflicts: ${conflicts.join(", ") || "none"}`,
  work: ({ commit }) => commit,
  "agent.end": ({ end }) => end,
  gate: ({ passed, reason }) => `${passed ? "passed" : "rejected"}: ${reason}`,
  "publish.intent": ({ step }) => step,
  "publish.done": ({ step, value }) => `${step} ${value}`,
  finished: ({ outcome, cause, detail }) => `${outcome}${cause === undefined ? "" : `: ${cause}`} ${detail}`,
};
