import { spawn } from "node:child_process";

/** Of a commit, tag or tree; `text` is what git keeps of it. */
export interface GitObject {
  sha: string;
  type: string;
  text: string;
}

/** What git has under a name, from one process that is asked again and again: starting one for each look is slow. */
export interface GitReader {
  /** Without its text. Undefined where a name means nothing, or more than one thing. */
  find(name: string): Promise<GitObject | undefined>;
  /** For small objects: an answer is put together from its pieces each time that one comes. */
  read(name: string): Promise<GitObject | undefined>;
}

interface Question {
  wantsText: boolean;
  resolve(found: GitObject | undefined): void;
  reject(error: Error): void;
}

/** A reader without a word for that long ends: it is idle, or git hangs. */
const silenceLimitMs = 60_000;
const running = new Map<string, GitReader & { end(): void }>();

/** The one of a bare repository. Where it has ended, the next question starts another. */
export function gitReader(gitDir: string, env: Record<string, string>): GitReader {
  const known = running.get(gitDir);
  if (known !== undefined) return known;
  const reader = start(gitDir, env, () => {
    if (running.get(gitDir) === reader) running.delete(gitDir);
  });
  running.set(gitDir, reader);
  return reader;
}

/** Ends those of the repositories below a folder; what they were asked before is answered. */
export function endReaders(folder: string): void {
  for (const [gitDir, reader] of running) if (gitDir.startsWith(`${folder}/`)) reader.end();
}

function start(gitDir: string, env: Record<string, string>, onEnd: () => void) {
  const child = spawn("git", ["--git-dir", gitDir, "cat-file", "--batch-command"], { env });
  const questions: Question[] = [];
  const takeAnswers = answersOf(questions);
  let complaint = "";
  const silence = setTimeout(() => (questions.length === 0 ? end() : child.kill("SIGKILL")), silenceLimitMs).unref();
  const end = () => {
    onEnd();
    child.stdin.end();
  };
  const fail = (why: string) => {
    clearTimeout(silence);
    onEnd();
    const error = new Error(`git cat-file ${why} ${complaint}`.trim());
    for (const question of questions.splice(0)) question.reject(error);
  };
  const ask = (command: "info" | "contents", name: string) => {
    // git has no name with a line break, and what follows it would be a command.
    if (name.includes("\n")) return Promise.resolve(undefined);
    const { promise, resolve, reject } = Promise.withResolvers<GitObject | undefined>();
    questions.push({ wantsText: command === "contents", resolve, reject });
    silence.refresh();
    child.stdin.write(`${command} ${name}\n`);
    return promise;
  };
  child.stdout.on("data", (chunk: Buffer) => {
    silence.refresh();
    takeAnswers(chunk);
  });
  child.stderr.on("data", (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(0, 2_000)));
  child.stdin.on("error", () => {});
  child.on("error", ({ message }) => fail(`did not start: ${message}`));
  child.on("close", (code, signal) => fail(`of ${gitDir} ended with ${code ?? signal}:`));
  return { find: (name: string) => ask("info", name), read: (name: string) => ask("contents", name), end };
}

/** An answer is a line, and where the text was wanted as many bytes as the line says and a line break. */
function answersOf(questions: Question[]): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0);
  const takeOne = (): boolean => {
    const [question] = questions;
    const line = rest.indexOf("\n");
    if (question === undefined || line === -1) return false;
    const [, sha, type, size] = /^([0-9a-f]{40}) ([a-z]+) ([0-9]+)$/.exec(rest.toString("utf8", 0, line)) ?? [];
    const hasText = question.wantsText && size !== undefined;
    const end = line + 1 + (hasText ? Number(size) + 1 : 0);
    if (rest.length < end) return false;
    const text = hasText ? rest.toString("utf8", line + 1, end - 1) : "";
    rest = rest.subarray(end);
    questions.shift();
    question.resolve(sha === undefined || type === undefined ? undefined : { sha, type, text });
    return true;
  };
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    while (takeOne());
  };
}
