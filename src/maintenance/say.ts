import { RefusedError } from "../errors.ts";
import type { Forge } from "../forge.ts";

/** Creates or edits our one comment with this mark; where the conversation is locked, what is done is done without a word. */
export async function say(forge: Forge, number: number, mark: string, text: string): Promise<void> {
  await unlessLocked(forge.ensureComment(number, mark, `${mark}\n${text}`));
}

/** The same of what has a text of its own. */
export async function unlessLocked(speaking: Promise<unknown>): Promise<void> {
  try {
    await speaking;
  } catch (error) {
    if (!(error instanceof RefusedError && error.why === "locked")) throw error;
  }
}
