/** The operator gave something wrong: the message names it and the remedy. The command exits with 2. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

/** Something that we depend on did not answer or refused: the message names it and the remedy. */
export class OutageError extends Error {
  override name = "OutageError";
}

/** The code host wants to be left alone until a time. */
export class LimitedError extends OutageError {
  override name = "LimitedError";
  readonly until: Date;
  constructor(until: Date, options?: ErrorOptions) {
    super(`GitHub takes no more requests until ${until.toISOString()}.`, options);
    this.until = until;
  }
}

/** People want what is left to do done after a time: a run goes back to the queue until then, and no try is counted. */
export class QuietError extends Error {
  override name = "QuietError";
  readonly until: Date;
  constructor(until: Date) {
    super(`These are quiet hours, until ${until.toISOString()}.`);
    this.until = until;
  }
}

/** Why the code host says no, in a word, as an ending's cause. */
export type Refusal = "suspended" | "permission" | "archived" | "locked" | "gone" | "workflows" | "refused";

/** The code host said no, and would say it again: the message names the thing and the remedy. */
export class RefusedError extends Error {
  override name = "RefusedError";
  readonly why: Refusal;
  /** The HTTP status, where it is about what was asked for; none where we were not let in. */
  readonly status: number | undefined;
  constructor(why: Refusal, message: string, { status, ...options }: ErrorOptions & { status?: number } = {}) {
    super(message, options);
    this.why = why;
    this.status = status;
  }
}

/** The refusal of a commit that changes this workflow file. */
export function workflowsRefused(path: string, options: ErrorOptions & { status?: number }): RefusedError {
  const text = `GitHub lets no app write \`${path.replaceAll("`", " ")}\` without the permission \`workflows\`.`;
  return new RefusedError("workflows", text, options);
}

/** The text of whatever was thrown, for a log field or a status line. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
