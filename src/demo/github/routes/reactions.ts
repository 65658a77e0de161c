import { z } from "zod";
import { accountOfCaller } from "../auth.ts";
import { parseBody } from "../body.ts";
import { created, ok } from "../context.ts";
import type { Context, RepositoryCall, Route } from "../context.ts";
import { notFound } from "../failure.ts";
import { reactionJson } from "../json/reaction.ts";
import type { Reaction } from "../state.ts";
import { entriesOf } from "../threads.ts";
import { issueOf } from "./issues.ts";

/** Everybody who sees something may react to it. */
const react = { permission: ["issues", "pull_requests"], level: "write", role: "read" } as const;
const reactToPull = { ...react, permission: "pull_requests" } as const;
const wanted = z.object({
  content: z.enum(["+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"]),
});

const repo = "/repos/:owner/:repo";

/** Reactions to issues and comments. */
export const reactionRoutes: Route[] = [
  {
    method: "POST",
    path: `${repo}/issues/:number/reactions`,
    on: "repository",
    need: react,
    handle: (call, context) => add(call, context, issueOf(call)),
  },
  {
    method: "POST",
    path: `${repo}/issues/comments/:id/reactions`,
    on: "repository",
    need: react,
    handle(call, context) {
      const all = [...call.repository.issues.values()].flatMap(({ comments }) => comments);
      return add(call, context, withId(call, all));
    },
  },
  {
    method: "POST",
    path: `${repo}/pulls/comments/:id/reactions`,
    on: "repository",
    need: reactToPull,
    handle(call, context) {
      const pulls = [...call.repository.issues.values()].flatMap(({ pull }) => pull ?? []);
      const all = pulls.flatMap((pull) => entriesOf(pull).map(({ one }) => one));
      return add(call, context, withId(call, all));
    },
  },
];

function withId<T extends { id: number }>({ params }: RepositoryCall, all: readonly T[]): T {
  const found = all.find(({ id }) => id === Number(params["id"]));
  if (found === undefined) throw notFound();
  return found;
}

/** Each account has one reaction of a kind on a thing: GitHub answers 200 where it is there. */
function add({ caller, body }: RepositoryCall, { state, site }: Context, to: { reactions: Reaction[] }) {
  const { content } = parseBody(wanted, "Reaction", body);
  const author = accountOfCaller(caller);
  const known = to.reactions.find((one) => one.author === author && one.content === content);
  if (known !== undefined) return ok(reactionJson(site, known));
  const reaction = { id: state.nextId(), author, content, createdAt: state.now() };
  to.reactions.push(reaction);
  return created(reactionJson(site, reaction));
}
