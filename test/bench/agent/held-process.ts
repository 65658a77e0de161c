// Does so many runs at once, and tells the memory that the process then takes in bytes, as the kernel counts it.
import { openRuns } from "./runs.ts";

const [runsAtOnce = 1, steps = 1] = process.argv.slice(2).map(Number);
await using stack = new AsyncDisposableStack();
const runs = await openRuns(stack, steps);
const ids = Array.from({ length: runsAtOnce }, (_, index) => index + 1);
const held = await Promise.all(ids.map((id) => runs.throughLoop({ id, from: 0, answerMs: 0 })));
process.send?.(process.memoryUsage.rss());
if (held.length !== runsAtOnce) throw new Error("A run is missing");
