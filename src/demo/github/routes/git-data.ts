import { z } from "zod";
import { parseBody } from "../body.ts";
import { accountOfCaller } from "../auth.ts";
import { created, noContent, ok } from "../context.ts";
import type { Context, RepositoryCall, Route } from "../context.ts";
import { Failure, invalid, notFound } from "../failure.ts";
import {
  GitError,
  isAncestor,
  isEmpty,
  listRefs,
  listTree,
  readCommit,
  resolve,
  updateRef,
  webFlow,
  writeBlob,
  writeCommit,
  writeTree,
  zero,
} from "../git.ts";
import { commitJson, referenceJson } from "../json/commit.ts";
import { repoApi } from "../json/site.ts";
import { afterPush } from "../pushes.ts";
import { refuseNewWorkflows } from "../workflow-files.ts";

const read = { permission: "contents", level: "read" } as const;
const write = { permission: "contents", level: "write" } as const;
const sha = z.string().regex(/^[0-9a-f]{40}$/);

// git itself would leave such a path out without a word.
const treePath = z
  .string()
  .refine((path) => path.split("/").every((part) => part !== "" && !/^(\.{1,2}|\.git)$/i.test(part)), {
    error: "tree.path contains a malformed path component",
  });

const blobRequest = z.object({ content: z.string(), encoding: z.enum(["utf-8", "base64"]).default("utf-8") });
const treeRequest = z.object({
  base_tree: z.string().optional(),
  tree: z.array(
    z.object({
      path: treePath,
      mode: z.enum(["100644", "100755", "040000", "160000", "120000"]),
      type: z.enum(["blob", "tree", "commit"]).optional(),
      sha: sha.nullable().optional(),
      content: z.string().optional(),
    }),
  ),
});
const person = z.object({ name: z.string(), email: z.string(), date: z.string().optional() });
const commitRequest = z.object({
  message: z.string().min(1),
  tree: sha,
  parents: z.array(sha).default([]),
  author: person.optional(),
});
const newRef = z.object({ ref: z.string().regex(/^refs\/.+\/.+/), sha });
const movedRef = z.object({ sha, force: z.boolean().default(false) });

/** Git's objects and references, on the bare repository that smart HTTP serves too. */
export const gitDataRoutes: Route[] = [
  { method: "GET", path: "/repos/:owner/:repo/git/commits/:sha", on: "repository", need: read, handle: getCommit },
  { method: "POST", path: "/repos/:owner/:repo/git/blobs", on: "repository", need: write, handle: createBlob },
  { method: "POST", path: "/repos/:owner/:repo/git/trees", on: "repository", need: write, handle: createTree },
  { method: "POST", path: "/repos/:owner/:repo/git/commits", on: "repository", need: write, handle: createCommit },
  { method: "GET", path: "/repos/:owner/:repo/git/ref/:ref{.+}", on: "repository", need: read, handle: getRef },
  {
    method: "GET",
    path: "/repos/:owner/:repo/git/matching-refs/:ref{.+}",
    on: "repository",
    need: read,
    handle: matchRefs,
  },
  { method: "POST", path: "/repos/:owner/:repo/git/refs", on: "repository", need: write, handle: createRef },
  { method: "PATCH", path: "/repos/:owner/:repo/git/refs/:ref{.+}", on: "repository", need: write, handle: moveRef },
  { method: "DELETE", path: "/repos/:owner/:repo/git/refs/:ref{.+}", on: "repository", need: write, handle: deleteRef },
];

async function getCommit({ repository, params }: RepositoryCall, { site }: Context) {
  const data = await readCommit(repository.gitDir, params["sha"] ?? "");
  if (data === undefined) throw notFound();
  return ok(commitJson(site, repository, data));
}

async function createBlob({ repository, body }: RepositoryCall, { site }: Context) {
  const { content, encoding } = parseBody(blobRequest, "Blob", body);
  const id = await writeBlob(repository.gitDir, Buffer.from(content, encoding === "base64" ? "base64" : "utf8"));
  return created({ sha: id, url: `${repoApi(site, repository)}/git/blobs/${id}` });
}

async function createTree({ repository, body }: RepositoryCall, { site }: Context) {
  const { gitDir } = repository;
  const { base_tree: base, tree } = parseBody(treeRequest, "Tree", body);
  const start = base === undefined ? undefined : await resolve(gitDir, base, "tree");
  if (base !== undefined && start === undefined) throw notFound();
  const known = new Set(start === undefined ? [] : (await listTree(gitDir, start, true)).map((one) => one.path));
  const entries = await Promise.all(
    tree.map(async ({ path, mode, sha: id, content }) => {
      if (id === null && !known.has(path)) throw new Failure(422, "GitRPC::BadObjectState");
      if (id === undefined && content === undefined) throw new Failure(422, "Must supply either tree.sha or content");
      return { path, mode, sha: id === undefined ? await writeBlob(gitDir, content ?? "") : id };
    }),
  );
  const id = await writeTree(gitDir, start, entries).catch(badObject);
  const items = (await listTree(gitDir, id)).map(({ size, ...item }) => ({
    ...item,
    ...(size === undefined ? {} : { size }),
    url: `${repoApi(site, repository)}/git/${item.type}s/${item.sha}`,
  }));
  return created({ sha: id, url: `${repoApi(site, repository)}/git/trees/${id}`, tree: items, truncated: false });
}

async function createCommit({ repository, body, caller }: RepositoryCall, { site }: Context) {
  const { message, tree, parents, author } = parseBody(commitRequest, "Commit", body);
  if (caller.kind !== "installation" && caller.kind !== "user") throw new Failure(401, "Requires authentication");
  for (const parent of parents)
    if ((await resolve(repository.gitDir, parent)) === undefined)
      throw new Failure(422, "Parent SHA does not exist or is not a commit object");
  if ((await resolve(repository.gitDir, tree, "tree")) === undefined) throw new Failure(422, "Tree SHA does not exist");
  const { id, login } = caller.account;
  const own = { name: login, email: `${id}+${login}@users.noreply.github.com` };
  // GitHub signs for an app, and only where the request names no author.
  const signs = caller.kind === "installation" && author === undefined;
  const who = { author: author ?? own, committer: signs ? webFlow : (author ?? own) };
  const commit = await writeCommit(repository.gitDir, { message, tree, parents, ...who });
  const data = await readCommit(repository.gitDir, commit);
  if (data === undefined) throw notFound();
  if (signs) repository.signed.add(commit);
  return created(commitJson(site, repository, data));
}

async function getRef({ repository, params }: RepositoryCall, { site }: Context) {
  const name = params["ref"] ?? "";
  const commit = await resolve(repository.gitDir, `refs/${name}`);
  if (commit !== undefined) return ok(referenceJson(site, repository, name, commit));
  throw (await isEmpty(repository.gitDir)) ? new Failure(409, "Git Repository is empty.") : notFound();
}

async function matchRefs({ repository, params }: RepositoryCall, { site }: Context) {
  const refs = await listRefs(repository.gitDir);
  if (refs.size === 0) throw new Failure(409, "Git Repository is empty.");
  const found = [...refs].filter(([name]) => name.startsWith(`refs/${params["ref"] ?? ""}`));
  return ok(found.map(([name, commit]) => referenceJson(site, repository, name.slice("refs/".length), commit)));
}

async function createRef({ repository, body, caller }: RepositoryCall, context: Context) {
  const { ref, sha: commit } = parseBody(newRef, "Reference", body);
  if ((await resolve(repository.gitDir, commit)) === undefined) throw new Failure(422, "Object does not exist");
  await refuseNewWorkflows(caller, repository, commit);
  await updateRef(repository.gitDir, ref, commit, zero).catch((error: unknown) => {
    if (error instanceof GitError && /already exists/.test(error.message))
      throw new Failure(422, "Reference already exists");
    return badObject(error);
  });
  const moves = [{ ref, before: zero, after: commit }];
  await afterPush(context, repository, { sender: accountOfCaller(caller), moves });
  return created(referenceJson(context.site, repository, ref.replace(/^refs\//, ""), commit));
}

async function moveRef({ repository, params, body, caller }: RepositoryCall, context: Context) {
  const name = params["ref"] ?? "";
  const { sha: commit, force } = parseBody(movedRef, "Reference", body);
  const before = await resolve(repository.gitDir, `refs/${name}`);
  if (before === undefined) throw new Failure(422, "Reference does not exist");
  if ((await resolve(repository.gitDir, commit)) === undefined) throw new Failure(422, "Object does not exist");
  if (!force && !(await isAncestor(repository.gitDir, before, commit)))
    throw new Failure(422, "Update is not a fast forward");
  await refuseNewWorkflows(caller, repository, commit);
  await updateRef(repository.gitDir, `refs/${name}`, commit, before).catch(badObject);
  const moves = [{ ref: `refs/${name}`, before, after: commit }];
  await afterPush(context, repository, { sender: accountOfCaller(caller), moves });
  return ok(referenceJson(context.site, repository, name, commit));
}

async function deleteRef({ repository, params, caller }: RepositoryCall, context: Context) {
  const ref = `refs/${params["ref"]}`;
  const before = await resolve(repository.gitDir, ref);
  if (before === undefined) throw new Failure(422, "Reference does not exist");
  await updateRef(repository.gitDir, ref, zero, before);
  await afterPush(context, repository, { sender: accountOfCaller(caller), moves: [{ ref, before, after: zero }] });
  return noContent;
}

function badObject(error: unknown): never {
  if (error instanceof GitError) throw invalid("GitObject", "sha", { message: error.message });
  throw error;
}
