const code = "const let return await function value index result options error path name list read write find".split(
  " ",
);
const prose =
  "the test shows that this function drops a word when title has more than one blank so I change how it splits".split(
    " ",
  );

/** A line of source code, always the same for the same seed. */
export function lineOf(seed: number): string {
  const next = numbers(seed);
  const words = Array.from({ length: 1 + (next() % 8) }, () => pick(next(), code));
  return `${"  ".repeat(next() % 4)}${words.join(pick(next(), [" ", ", ", ".", " = "]))}${next() % 90};`;
}

/** One sentence, always the same for the same seed. */
export function sentenceOf(seed: number): string {
  const next = numbers(seed);
  const words = Array.from({ length: 8 + (next() % 14) }, () => pick(next(), prose));
  return `I see ${words.join(" ")}.`;
}

export function pick<T>(number: number, [first, ...rest]: readonly [T, ...T[]] | readonly T[]): T {
  const list = [first, ...rest];
  const picked = list[number % list.length];
  if (picked === undefined) throw new RangeError("There is nothing to pick from");
  return picked;
}

// https://en.wikipedia.org/wiki/MurmurHash#Algorithm (its last steps): near seeds give far numbers.
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    const mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    const again = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return (again ^ (again >>> 16)) >>> 0;
  };
}
