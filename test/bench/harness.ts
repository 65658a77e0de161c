/** Ways to do the same thing, done in turns, so that the machine's moods fall on all of them. */
export interface Bench {
  /** How often each is done. At least 30 where a row has a goal. */
  rounds: number;
  /**
   * How often each is done in its turn, of which the median is its sample: what the one before it left to its servants
   * (an engine tidies up after each `docker exec`) is not for the next one to pay. Default: 1.
   */
  turn?: number;
  /** Each returns one sample of what the rows measure. */
  contenders: Record<string, () => Promise<number>>;
  rows: RowSpec[];
}

export interface RowSpec {
  measure: string;
  unit: string;
  /** The contenders that are compared. */
  value: string;
  beside: string;
  /**
   * `atMost`: value / beside, or else so much more (`orBy`). `atLeast`: how many times better the value is. Without one the
   * row only informs.
   */
  goal?: { atMost: number; orBy?: number } | { atLeast: number };
  /** Whether more is better, as of a rate. Default: less is. */
  more?: boolean;
}

/** What `npm run bench` prints, one line each with --json. */
export interface Row {
  measure: string;
  value: number;
  unit: string;
  beside: { what: string; value: number };
  ratio: number;
  goal: string | null;
  met: boolean | null;
}

/** Opens what its benches need on the stack, which is disposed of after they ran. */
export type Suite = (stack: AsyncDisposableStack) => Promise<Bench[]>;

/** Does one bench and returns its rows, of medians. */
export async function measure({ rounds, turn = 1, contenders, rows }: Bench): Promise<Row[]> {
  const samples = new Map(Object.keys(contenders).map((name) => [name, new Array<number>()]));
  // The first two rounds find cold caches and compilers.
  for (let round = -2; round < rounds; round++) {
    for (const [name, sample] of Object.entries(contenders)) {
      const values: number[] = [];
      while (values.length < turn) values.push(await sample());
      if (round >= 0) samples.get(name)?.push(median(values));
    }
  }
  const medianOf = (name: string) => median(samples.get(name) ?? []);
  return rows.map((row) => toRow(row, medianOf(row.value), medianOf(row.beside)));
}

/** How long it took, in milliseconds. */
export async function time(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? Number.NaN) + (sorted[Math.floor(middle)] ?? Number.NaN)) / 2;
}

function toRow({ measure, unit, goal, more = false, beside: what }: RowSpec, value: number, beside: number): Row {
  const better = more ? value / beside : beside / value;
  const ratio = goal && "atLeast" in goal ? better : value / beside;
  const row = { measure, value: round(value), unit, beside: { what, value: round(beside) }, ratio: round(ratio) };
  if (goal === undefined) return { ...row, goal: null, met: null };
  if ("atMost" in goal) {
    const { atMost, orBy = 0 } = goal;
    const told = `<= ${atMost}${orBy === 0 ? "" : ` or +${orBy}`}`;
    return { ...row, goal: told, met: ratio <= atMost || value - beside <= orBy };
  }
  return { ...row, goal: `>= ${goal.atLeast}`, met: ratio >= goal.atLeast };
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}
