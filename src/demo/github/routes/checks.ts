import { z } from "zod";
import { parseBody, text } from "../body.ts";
import { addRun, newestRuns, tellCompleted } from "../check-suites.ts";
import { created, ok, paged } from "../context.ts";
import type { Context, RepositoryCall, Route } from "../context.ts";
import { Failure, notFound } from "../failure.ts";
import { resolve } from "../git.ts";
import { annotationJson, checkRunJson } from "../json/check-run.ts";
import type { App, CheckRun, Repository, State } from "../state.ts";

const permission = "checks";
const read = { permission, level: "read" } as const;
const write = { permission, level: "write" } as const;

const annotation = z.object({
  path: z.string(),
  start_line: z.number().int(),
  end_line: z.number().int(),
  annotation_level: z.enum(["notice", "warning", "failure"]),
  message: z.string(),
  title: z.string().nullable().default(null),
});
const changed = z.object({
  name: z.string().min(1).optional(),
  external_id: z.string().optional(),
  details_url: z.string().optional(),
  status: z.enum(["queued", "in_progress", "completed"]).optional(),
  conclusion: z
    .enum(["action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"])
    .optional(),
  output: z
    .object({
      title: z.string(),
      summary: text,
      text: text.nullable().default(null),
      annotations: z.array(annotation).max(50).default([]),
    })
    .optional(),
});
const added = changed.extend({ name: z.string().min(1), head_sha: z.string() });

/** The check runs of an app on a commit. */
export const checkRoutes: Route[] = [
  { method: "POST", path: "/repos/:owner/:repo/check-runs", on: "repository", need: write, handle: createRun },
  { method: "PATCH", path: "/repos/:owner/:repo/check-runs/:id", on: "repository", need: write, handle: changeRun },
  {
    method: "GET",
    path: "/repos/:owner/:repo/check-runs/:id/annotations",
    on: "repository",
    need: read,
    handle(call, { site }) {
      const run = runOf(call);
      return paged(call, run.annotations, (page) => page.map((one) => annotationJson(site, call.repository, run, one)));
    },
  },
  {
    method: "GET",
    path: "/repos/:owner/:repo/commits/:ref{.+}/check-runs",
    on: "repository",
    need: read,
    handle: listRuns,
  },
];

async function createRun({ repository, body, caller }: RepositoryCall, context: Context) {
  const { state } = context;
  const app = appOf(caller, state);
  const { head_sha: sha, ...wanted } = parseBody(added, "CheckRun", body);
  const commit = await resolve(repository.gitDir, sha);
  if (commit === undefined) throw new Failure(422, `No commit found for SHA: ${sha}`);
  const run = addRun(state, repository, { app, commit, name: wanted.name });
  await change(run, wanted, repository, context);
  return created(checkRunJson(context.site, repository, run));
}

async function changeRun(call: RepositoryCall, context: Context) {
  const app = appOf(call.caller, context.state);
  const run = runOf(call);
  if (run.app !== app) throw new Failure(403, "Invalid app_id `check_run` can only be modified by its app.");
  await change(run, parseBody(changed, "CheckRun", call.body), call.repository, context);
  return ok(checkRunJson(context.site, call.repository, run));
}

async function listRuns(call: RepositoryCall, { site }: Context) {
  const { repository, params, query } = call;
  const commit = await resolve(repository.gitDir, params["ref"] ?? "");
  if (commit === undefined) throw new Failure(422, `No commit found for SHA: ${params["ref"]}`);
  const { check_name: name, filter = "latest" } = query;
  const all = repository.checkRuns.filter((run) => run.commit === commit && (name === undefined || run.name === name));
  const found = (filter === "latest" ? newestRuns(all) : all).toReversed();
  return paged(call, found, (page) => ({
    total_count: found.length,
    check_runs: page.map((run) => checkRunJson(site, repository, run)),
  }));
}

async function change(
  run: CheckRun,
  wanted: z.infer<typeof changed>,
  repository: Repository,
  context: Context,
): Promise<void> {
  const wasCompleted = run.status === "completed";
  run.name = wanted.name ?? run.name;
  run.externalId = wanted.external_id ?? run.externalId;
  run.detailsUrl = wanted.details_url ?? run.detailsUrl;
  run.conclusion = wanted.conclusion ?? run.conclusion;
  run.status = wanted.conclusion === undefined ? (wanted.status ?? run.status) : "completed";
  if (wanted.output !== undefined) {
    const { annotations, ...output } = wanted.output;
    run.output = output;
    run.annotations.push(...annotations);
  }
  if (wasCompleted || run.status !== "completed") return;
  run.completedAt = context.state.now();
  await tellCompleted(context, repository, run);
}

function runOf({ repository, params }: RepositoryCall): CheckRun {
  const run = repository.checkRuns.find(({ id }) => id === Number(params["id"]));
  if (run === undefined) throw notFound();
  return run;
}

function appOf(caller: RepositoryCall["caller"], { app }: State): App {
  if (caller.kind !== "installation" || app === undefined)
    throw new Failure(403, "You must authenticate via a GitHub App.");
  return app;
}
