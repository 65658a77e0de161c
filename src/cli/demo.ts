import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command, Option } from "commander";
import { cases } from "../demo/cases/cases.ts";
import { ConfigError } from "../errors.ts";
import { openRunLog } from "../runlog.ts";
import { startLaptop } from "./laptop.ts";
import { createProgress, teeRunLog } from "./progress.ts";
import { stories } from "./stories.ts";
import type { StoryName, StoryResult } from "./stories.ts";
import { untilStopped } from "./until-stopped.ts";

interface Options {
  keep?: boolean;
  json?: boolean;
  story: StoryName;
  case?: string;
}

export function demoCommand(): Command {
  return new Command("demo")
    .description("The whole system on this machine: a labelled issue becomes a pull request")
    .addOption(new Option("--story <name>", "what to show").choices(Object.keys(stories)).default("issue"))
    .addOption(new Option("--case <name>", "a published package with a known bug").choices(Object.keys(cases)))
    .option("--keep", "leave everything up afterwards, with a link to look at")
    .option("--json", "one JSON object per event")
    .action(runDemo);
}

async function runDemo(options: Options): Promise<void> {
  if (options.case !== undefined && options.story !== "issue")
    throw new ConfigError(
      `--case goes with the story "issue" alone, not with "${options.story}". Leave one of them out.`,
    );
  const started = performance.now();
  const stopped = untilStopped();
  const dataDir = await mkdtemp(join(tmpdir(), "agent-fix-demo-"));
  const json = options.json === true;
  const progress = createProgress(json);
  const say = (line: string) => {
    if (!json) console.log(line);
  };
  try {
    await using laptop = await startLaptop({
      dataDir,
      openLog: (runId) => teeRunLog(openRunLog(dataDir, runId), progress),
    });
    say(
      `GitHub: ${laptop.github.url} (embedded)   model: ${laptop.model === undefined ? "MODEL_BASE_URL" : "scripted"}   app: ${laptop.web.url}\n`,
    );
    const story = stories[options.story]({ laptop, say, caseName: options.case });
    const result = await Promise.race([story, stopped]);
    // What a stopped story still asks finds everything gone.
    story.catch(() => {});
    if (result !== undefined) {
      if (json && options.keep === true) console.log(JSON.stringify({ event: "keep", page: result.page }));
      finish(result, { json, started });
      if (options.keep !== true) return;
      say(`\nLook at ${result.page}. Ctrl-C ends it.`);
      return await stopped;
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
  // Last, after what a stopping worker still tells.
  finish(interrupted, { json, started });
}

const interrupted = { outcome: "cancelled", pullRequest: undefined, text: "Interrupted: everything was taken down." };

function finish(result: Omit<StoryResult, "page">, { json, started }: { json: boolean; started: number }): void {
  const duration = Number(((performance.now() - started) / 1000).toFixed(1));
  if (json) {
    console.log(
      JSON.stringify({
        event: "end",
        outcome: result.outcome,
        pull_request: result.pullRequest ?? null,
        duration_seconds: duration,
      }),
    );
  } else {
    console.log(`\n${result.text}\n\n${result.outcome} in ${duration} s`);
  }
  if (result.outcome !== "published") process.exitCode = 1;
}
