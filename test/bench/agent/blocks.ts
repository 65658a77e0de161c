import { hash } from "node:crypto";

/** Counts tokens as a server that finds prompts again by whole blocks of `size` tokens, and keeps what it has read. */
export interface BlockCache {
  /** Of a prompt, how many tokens are found, and how many would be if it began with all that was read before. */
  ask(tokens: readonly string[]): { found: number; appended: number };
  /** Takes in what was read and written. */
  keep(tokens: readonly string[]): void;
}

export function createBlockCache(size: number): BlockCache {
  const known = new Set<string>();
  let before = 0;
  const wholeBlocks = (tokens: number) => Math.floor(tokens / size) * size;
  return {
    ask(tokens) {
      // The last token has to be computed in any case.
      const most = tokens.length - 1;
      let found = 0;
      for (const block of blocksOf(tokens.slice(0, most), size)) {
        if (!known.has(block)) break;
        found += size;
      }
      return { found, appended: wholeBlocks(Math.min(before, most)) };
    },
    keep(tokens) {
      before = tokens.length;
      for (const block of blocksOf(tokens, size)) known.add(block);
    },
  };
}

/** Each block stands for itself and all before it. */
function* blocksOf(tokens: readonly string[], size: number): Generator<string> {
  let chain = "";
  for (let at = size; at <= tokens.length; at += size) {
    chain = hash("sha1", `${chain}${tokens.slice(at - size, at).join("\0")}`);
    yield chain;
  }
}
