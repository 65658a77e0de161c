import { Command } from "commander";
import { readConfig } from "../config.ts";
import { ConfigError } from "../errors.ts";
import { lastEvent, listRuns, readRun } from "../runlog.ts";
import type { Stamped } from "../runlog.ts";

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
    .action((id: string, { json }: { json?: boolean }) => {
      const { dataDir } = readConfig();
      const events = readRun(dataDir, id);
      if (events === undefined)
        throw new ConfigError(
          `There is no run ${JSON.stringify(id)} in ${dataDir}. \`agent-fix runs\` lists them; DATA_DIR names another folder.`,
        );
      for (const event of events)
        console.log(json ? JSON.stringify(event) : `${event.at}  ${event.type.padEnd(15)} ${describe(event)}`);
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
  const what =
    subject.kind === "issue"
      ? `#${subject.number}`
      : subject.kind === "review"
        ? `#${subject.pull} review`
        : `task ${subject.key}`;
  return [
    {
      id,
      started: first.at,
      subject: `${repo.owner}/${repo.name} ${what}`,
      outcome: finished?.outcome ?? "working",
      cause: finished?.cause,
      pull: finished?.pull?.url,
    },
  ];
}

/** What an event says beside its type, on one line. */
export function describe(event: Stamped): string {
  switch (event.type) {
    case "tool.intent":
      return `${event.name} ${event.summary}`;
    case "tool.result":
      return `${event.name} ${event.ok ? "ok" : "failed"} in ${event.ms} ms`;
    case "model.result":
      return `${event.calls} calls, ${event.usage.promptTokens} + ${event.usage.completionTokens} tokens, ${event.ms} ms`;
    case "checks":
      return `${event.leg}: ${event.results.map((check) => `${check.run} ${check.end}`).join("; ")}`;
    case "gate":
      return `${event.passed ? "passed" : "rejected"}: ${event.reason}`;
    case "publish.intent":
      return event.step;
    case "publish.done":
      return `${event.step} ${event.value}`;
    case "finished":
      return `${event.outcome}${event.cause === undefined ? "" : `: ${event.cause}`} ${event.detail}`;
    case "base":
      return `${event.branch} ${event.commit}`;
    case "environment":
      return `${event.image}; set-up: ${event.setup.join("; ") || "none"}; checks: ${event.checks.join("; ")}`;
    case "setup":
      return `${event.ok ? "ok" : "failed"} in ${event.ms} ms: ${event.output.split("\n")[0]}`;
    case "plan":
      return event.items.join(" / ");
    case "snapshot":
      return event.title;
    case "claimed":
      return `epoch ${event.epoch}`;
    case "attempt":
      return `round ${event.round}`;
    case "agent.end":
      return event.end;
    case "token.minted":
    case "token.revoked":
      return event.purpose;
    case "model.intent":
      return `step ${event.step}`;
    case "released":
      return "given back to the queue";
  }
}
