/** The operator gave something wrong: the message names it and the remedy. The command exits with 2. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

/** Something that we depend on did not answer or refused: the message names it and the remedy. */
export class OutageError extends Error {
  override name = "OutageError";
}

/** The text of whatever was thrown, for a log field or a status line. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
