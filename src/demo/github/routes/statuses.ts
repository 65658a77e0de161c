import { z } from "zod";
import { accountOfCaller } from "../auth.ts";
import { parseBody } from "../body.ts";
import { created, paged } from "../context.ts";
import type { Context, RepositoryCall, Route } from "../context.ts";
import { Failure } from "../failure.ts";
import { resolve } from "../git.ts";
import { statusEventJson, statusJson } from "../json/status.ts";

const newStatus = z.object({
  state: z.enum(["error", "failure", "pending", "success"]),
  target_url: z.string().nullable().default(null),
  description: z.string().max(140).nullable().default(null),
  context: z.string().default("default"),
});

/** Commit statuses, the older kind of check. */
export const statusRoutes: Route[] = [
  {
    method: "POST",
    path: "/repos/:owner/:repo/statuses/:ref{.+}",
    on: "repository",
    need: { permission: "statuses", level: "write" },
    handle: createStatus,
  },
  {
    method: "GET",
    path: "/repos/:owner/:repo/commits/:ref{.+}/statuses",
    on: "repository",
    need: { permission: "statuses", level: "read" },
    async handle(call, { site }) {
      const { repository } = call;
      const commit = await commitOf(call);
      const found = repository.statuses.filter((one) => one.commit === commit).toReversed();
      return paged(call, found, (page) => page.map((one) => statusJson(site, repository, one)));
    },
  },
];

async function createStatus(call: RepositoryCall, { state, site, webhooks }: Context) {
  const { repository, caller, body } = call;
  const { target_url: targetUrl, ...wanted } = parseBody(newStatus, "Status", body);
  const creator = accountOfCaller(caller);
  const commit = await commitOf(call);
  const status = { ...wanted, id: state.nextId(), commit, targetUrl, creator, createdAt: state.now() };
  repository.statuses.push(status);
  const subject = await statusEventJson(site, repository, status);
  webhooks.emit({ event: "status", repository, sender: creator, subject });
  return created(statusJson(site, repository, status));
}

async function commitOf({ repository, params }: RepositoryCall): Promise<string> {
  const commit = await resolve(repository.gitDir, params["ref"] ?? "");
  if (commit === undefined) throw new Failure(422, `No commit found for SHA: ${params["ref"]}`);
  return commit;
}
