import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Content } from "./folders.ts";

/**
 * A folder of the host's own, in which git reads rules (.gitignore, .gitattributes) that came out of a tree as data.
 * Nothing else of the tree is in it, so no link and no .git can lead git elsewhere.
 */
export function openScratch(rules: ReadonlyMap<string, Content>): { folder: string } & Disposable {
  // A few small files: to hand each step to another thread takes ten times as long as the step.
  const folder = mkdtempSync(join(tmpdir(), "agent-fix-rules-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    for (const [path, { mode, bytes }] of rules) {
      // git reads no rules through a link.
      if (mode === "120000") continue;
      mkdirSync(Buffer.from(join(folder, dirname(path)), "latin1"), { recursive: true });
      writeFileSync(Buffer.from(join(folder, path), "latin1"), bytes);
    }
    return { folder, [Symbol.dispose]: remove };
  } catch (error) {
    remove();
    throw error;
  }
}
