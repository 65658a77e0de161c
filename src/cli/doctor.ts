import { Command } from "commander";
import { readConfig } from "../config.ts";
import type { Config } from "../config.ts";
import { messageOf } from "../errors.ts";
import { composeTools, requireRuntime } from "./compose.ts";
import { examineBinds, readListeners } from "./doctor/binds.ts";
import { examineEngine, imageAge, readMounts } from "./doctor/engine.ts";
import { look, notKnown, ok, textOf } from "./doctor/finding.ts";
import type { Finding, Seen } from "./doctor/finding.ts";
import { examineModel } from "./doctor/model.ts";
import { examineServices, redisInfo } from "./doctor/services.ts";
import { gitVersion, judgeVersions, redisServerVersion } from "./doctor/versions.ts";

const limitMs = 20_000;
const marks = { ok: "ok  ", warn: "warn", bad: "BAD " };

export function doctorCommand(): Command {
  return new Command("doctor")
    .description(
      "Looks at GitHub credentials, Redis, Docker, image, model endpoint, versions and what is open to others",
    )
    .option("--model", "instead, asks the model server what a run would ask it; takes some minutes")
    .option("--json", "one JSON object per part")
    .action(async ({ model, json }: { model?: boolean; json?: boolean }) => {
      const config = readConfig();
      process.exitCode = 0;
      for await (const finding of model ? examineModel(config.model) : await examine(config)) {
        console.log(json ? toJson(finding) : toLine(finding));
        if (finding.level === "bad") process.exitCode = 1;
      }
    });
}

function toJson(finding: Finding): string {
  const { part, level } = finding;
  return JSON.stringify({ part, ok: level !== "bad", level, saw: textOf(finding) });
}

function toLine(finding: Finding): string {
  return `${marks[finding.level]} ${finding.part.padEnd(12)} ${textOf(finding)}`;
}

/** Looks at every part side by side, at most 20 s each but for the trees; what is wrong is a finding, never a throw. */
async function examine(config: Config): Promise<Finding[]> {
  const tools = await composeTools(config);
  const signal = AbortSignal.timeout(limitMs);
  const { redisUrl } = config;
  const services = {
    git: gitVersion(),
    redis: redisUrl === undefined ? undefined : redisInfo(redisUrl),
    ownRedis: redisServerVersion(),
    engine: tools.engine.facts(signal),
    image: { ref: tools.image, found: tools.engine.ensureImage(tools.image, signal) },
  };
  const age = services.image.found.then(
    ({ created }) => imageAge(tools.image, created, new Date()),
    () => notKnown("the image is not there"),
  );
  const examined = examineServices(config, services, signal);
  const engine = await services.engine.catch(() => undefined);
  const trees = tellWay(async () => treesText[await tools.engine.trees()]);
  const folders = tellWay(async () => foldersText[await tools.engine.folders()]);
  const runtime = look("runtime", () => requireRuntime(tools, config));
  const redis = services.redis === undefined ? services.ownRedis : services.redis.catch(() => undefined);
  const addresses = { web: config.http.host, redisUrl, dockerHost: config.sandbox.dockerHost };
  return [
    ...(await examined),
    ...judgeVersions({ engine, git: await services.git, redis: await redis }),
    { part: "image-age", ...(await age) },
    ...examineEngine(engine, await readMounts()),
    { part: "trees", ...(await trees) },
    { part: "folders", ...(await folders) },
    await runtime,
    ...(await examineBinds(addresses, await readListeners())),
  ];
}

const treesText = {
  overlay: "overlay: runs on one commit share its files, and each writes into a layer of its own",
  copy: "copy: this engine mounts no overlay of volumes, so every run begins with a copy of its own: slower, otherwise the same",
};

const foldersText = {
  shared: "shared: the engine mounts this machine's copies of repositories, read-only",
  sent: "sent: the engine does not see this machine's folders, so each repository is sent to it: slower the first time, otherwise the same",
};

/** A way in which the engine is used, in words. */
async function tellWay(way: () => Promise<string>): Promise<Seen> {
  return way().then(ok, (error: unknown) => notKnown(messageOf(error)));
}
