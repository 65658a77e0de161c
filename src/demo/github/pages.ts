import { Hono } from "hono";
import { html, raw } from "hono/html";
import type { Context } from "./context.ts";
import { notFound } from "./failure.ts";
import { diffOf } from "./git.ts";
import { renderMarkdown } from "./markdown.ts";
import { createFromManifest, parseManifest } from "./manifest.ts";
import { fullName } from "./state.ts";
import type { Issue, PullRequest, Repository, Review } from "./state.ts";
import { style } from "./style.ts";
import { threadsOf } from "./threads.ts";
import type { Entry } from "./threads.ts";

type Html = ReturnType<typeof html>;

// Bodies are foreign: whatever came through of them runs no script and loads nothing.
const policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'";

/** Read-only pages of what the server holds, and the page on which GitHub creates an app from a manifest. */
export function createPages({ state, site }: Context): Hono {
  const pages = new Hono();
  pages.use(async (http, next) => {
    await next();
    http.header("content-security-policy", policy);
  });
  pages.get("/", (http) =>
    http.html(page("Repositories", html`${[...state.repositories.values()].map(repositoryRow)}`)),
  );
  pages.post("/settings/apps/new", async (http) => {
    const text = field(await http.req.parseBody(), "manifest");
    const wanted = parseManifest(text);
    const permissions = Object.entries(wanted.default_permissions).map(([name, level]) => `${name}: ${level}`);
    return http.html(
      page(
        "Register new GitHub App",
        html`<p><strong>${wanted.name}</strong> asks for ${permissions.join(", ")}.</p>
          <p>Webhooks go to <code>${wanted.hook_attributes.url}</code>.</p>
          <form action="${site.url}/settings/apps/create" method="post">
            <input type="hidden" name="manifest" value="${text}" />
            <input type="hidden" name="state" value="${http.req.query("state") ?? ""}" />
            <button type="submit">Create GitHub App</button>
          </form>`,
      ),
    );
  });
  pages.post("/settings/apps/create", async (http) => {
    const form = await http.req.parseBody();
    return http.redirect(createFromManifest(state, field(form, "manifest"), field(form, "state")));
  });
  pages.get("/:owner/:repo", (http) => {
    const repository = find(http.req.param("owner"), http.req.param("repo"));
    const rows = [...repository.issues.values()].toReversed().map((one) => issueRow(repository, one));
    return http.html(page(fullName(repository), rows.length === 0 ? html`<p>Nothing yet.</p>` : html`${rows}`));
  });
  pages.get("/:owner/:repo/:kind{issues|pull}/:number", async (http) => {
    const repository = find(http.req.param("owner"), http.req.param("repo"));
    const issue = repository.issues.get(Number(http.req.param("number")));
    if (issue === undefined) throw notFound();
    return http.html(page(`${issue.title} #${issue.number}`, await issuePage(repository, issue)));
  });
  return pages;

  function find(owner: string, name: string): Repository {
    const repository = state.repositories.get(`${owner}/${name}`);
    if (repository === undefined) throw notFound();
    return repository;
  }
}

function field(form: Record<string, unknown>, name: string): string {
  const value = form[name];
  return typeof value === "string" ? value : "";
}

function page(title: string, body: Html | Promise<Html>) {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>${title}</title>
        <style>${raw(style)}</style>
      </head>
      <body>
        <nav><a href="/">embedded GitHub</a></nav>
        <main><h1>${title}</h1>${body}</main>
      </body>
    </html>`;
}

function repositoryRow(repository: Repository) {
  const name = fullName(repository);
  return html`<p class="row"><a href="/${name}">${name}</a></p>`;
}

function issueRow(repository: Repository, issue: Issue) {
  const kind = issue.pull === undefined ? "issues" : "pull";
  return html`<p class="row">
    <span class="state ${issue.state}">${issue.pull === undefined ? "issue" : "pull request"} ${issue.state}</span>
    <a href="/${fullName(repository)}/${kind}/${issue.number}">${issue.title}</a> #${issue.number}
  </p>`;
}

async function issuePage(repository: Repository, issue: Issue): Promise<Html> {
  const { pull } = issue;
  const from =
    pull === undefined ? undefined : html` wants to merge <code>${pull.head}</code> into <code>${pull.base}</code>`;
  const threads = pull === undefined ? [] : [...threadsOf(pull).values()];
  const reviews = (pull?.reviews ?? []).map((one) => ({
    at: one.submittedAt,
    id: one.id,
    show: html`${reviewEntry(one)} ${threads.filter(([first]) => first?.of === one).map((talk) => threadEntry(talk, pull))}`,
  }));
  const comments = issue.comments.map((one) => ({
    at: one.createdAt,
    id: one.id,
    show: entry(one.author.login, one.body),
  }));
  const talk = [...reviews, ...comments].sort((a, b) => a.at.localeCompare(b.at) || a.id - b.id);
  return html`<p>
      <a href="/${fullName(repository)}">${fullName(repository)}</a>
      <span class="state ${issue.state}">${issue.state}</span>
      ${issue.labels.map((label) => html`<span class="label">${label.name}</span>`)} ${issue.author.login}${from ?? " opened this"}
    </p>
    ${entry(issue.author.login, issue.body ?? "")} ${talk.map(({ show }) => show)}
    ${pull === undefined ? "" : html`<h2>Files changed</h2>${diff(await diffOf(repository.gitDir, `refs/heads/${pull.base}`, pull.headCommit))}`}`;
}

/** Nothing for what only carries comments on lines. */
function reviewEntry({ author, state, body }: Review) {
  if (body === "" && state === "COMMENTED") return "";
  return entry(`${author.login} reviewed: ${state.toLowerCase().replace("_", " ")}`, body);
}

/** A thread with the end of the diff that it is about. */
function threadEntry(entries: readonly Entry[], pull: PullRequest | undefined) {
  const [first] = entries.map(({ one }) => one);
  if (first === undefined) return "";
  const lines = first.startLine === null ? String(first.line) : `${first.startLine}-${first.line}`;
  const mark = pull?.resolved.has(first.id) === true ? html`<span class="state closed">resolved</span>` : "";
  return html`<article class="thread">
    <header>${first.path}:${lines} ${mark}</header>
    ${diff(first.hunk.split("\n").slice(-4).join("\n"))}
    ${entries.map(({ one }) => entry(one.author.login, one.body))}
  </article>`;
}

function entry(head: string, body: string) {
  return html`<article><header>${head}</header><div>${raw(renderMarkdown(body))}</div></article>`;
}

function diff(text: string) {
  const rows = text
    .replace(/\n$/, "")
    .split("\n")
    .map((line) => html`<span class="${lineClass(line)}">${line}</span>`);
  return html`<pre class="diff">${rows}</pre>`;
}

function lineClass(line: string): string {
  if (line.startsWith("diff ")) return "file start";
  if (/^(index|---|\+\+\+|new file|deleted file|old mode|new mode)/.test(line)) return "file";
  if (line.startsWith("@@")) return "hunk";
  if (line.startsWith("+")) return "added";
  return line.startsWith("-") ? "removed" : "same";
}
