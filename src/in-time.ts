import { createContext, Script } from "node:vm";

const context = createContext({ work: undefined });
const script = new Script("work()");

/**
 * What `work` returns; undefined where it took longer than `mostMs` and was stopped in the midst of it, also within a
 * regular expression. For work that changes nothing outside of itself. Nothing else goes on in the process meanwhile.
 */
export function inTime<T>(work: () => T, mostMs: number): T | undefined {
  context["work"] = work;
  try {
    return script.runInContext(context, { timeout: mostMs }) as T;
  } catch (error) {
    if (isTimeout(error)) return undefined;
    throw error;
  }
}

// It is an error of the other context, so no `Error` here.
function isTimeout(error: unknown): boolean {
  return typeof error === "object" && error !== null && "code" in error && error.code === codeOfTimeout;
}

const codeOfTimeout = "ERR_SCRIPT_EXECUTION_TIMEOUT";
