import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command, Option } from "commander";
import { cases } from "../demo/cases/cases.ts";
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
  const started = performance.now();
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
    const result = await stories[options.story]({ laptop, say, caseName: options.case });
    finish(result, { json, seconds: (performance.now() - started) / 1000 });
    if (options.keep === true) {
      console.log(`\nLook at ${result.page}. Ctrl-C ends it.`);
      await untilStopped();
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

function finish(result: StoryResult, { json, seconds }: { json: boolean; seconds: number }): void {
  const duration = Number(seconds.toFixed(1));
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
