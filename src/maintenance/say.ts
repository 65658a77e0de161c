import { RefusedError } from "../errors.ts";
import type { Forge } from "../forge.ts";

/** Creates or edits our one comment with this mark; where the conversation is locked, what is done is done without a word. */
export async function say(forge: Forge, number: number, mark: string, text: string): Promise<void> {
  try {
    await forge.ensureComment(number, mark, `${mark}\n${text}`);
  } catch (error) {
    if (!(error instanceof RefusedError && error.why === "locked")) throw error;
  }
}
