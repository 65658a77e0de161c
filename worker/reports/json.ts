import { z } from "zod";
import { createCollection, joined } from "./results.ts";
import type { Found, Report } from "./results.ts";

const jest = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string().optional(),
      message: z.string().nullish(),
      assertionResults: z.array(
        z.object({
          ancestorTitles: z.array(z.string()).default([]),
          title: z.string(),
          status: z.string(),
          failureMessages: z.array(z.string()).nullish(),
        }),
      ),
    }),
  ),
});
const mochaTest = z.object({
  title: z.string(),
  fullTitle: z.string(),
  file: z.string().nullish(),
  err: z.object({ message: z.string().optional(), stack: z.string().optional() }).optional(),
});
const mocha = z.object({
  passes: z.array(mochaTest),
  failures: z.array(mochaTest),
  pending: z.array(mochaTest),
});

const deepest = 50;

/** What jest and vitest write for `--json` and `--reporter=json`. A file that could not run is a result of its own. */
export function readJest(text: string, root: string): Report {
  const parsed = jest.safeParse(jsonOf(text));
  const collection = createCollection(root);
  if (!parsed.success) return collection.report("it is not what jest writes");
  const found = parsed.data.testResults.flatMap(({ name, status, message, assertionResults }): Found[] => {
    const tests = assertionResults.map((one): Found => {
      const own = one.status === "passed" || one.status === "failed" ? one.status : "skipped";
      const suite = one.ancestorTitles.slice(0, deepest).reduce(joined, "");
      return { name: joined(suite, one.title), file: name, status: own, message: one.failureMessages?.[0] };
    });
    const isBroken = status === "failed" && tests.every((test) => test.status !== "failed");
    return isBroken ? [...tests, { name: "(the file itself)", file: name, status, message: message ?? "" }] : tests;
  });
  return addedTo(collection, found);
}

/** What mocha's reporter `json` writes, and in words what failed, since that reporter shows nothing else. */
export function readMocha(text: string, root: string): Report {
  const parsed = mocha.safeParse(jsonOf(text));
  const collection = createCollection(root);
  if (!parsed.success) return collection.report("it is not what mocha writes");
  const { passes, failures, pending } = parsed.data;
  const report = addedTo(collection, [
    ...passes.map((test) => ofMocha(test, "passed")),
    ...pending.map((test) => ofMocha(test, "skipped")),
    ...failures.map((test) => ofMocha(test, "failed")),
  ]);
  const counts = `${passes.length} passing, ${pending.length} pending, ${failures.length} failing\n`;
  const failed = report.tests.flatMap(({ name, status, message = "" }) =>
    status === "failed" ? [`\n${name}\n${message}\n`] : [],
  );
  return { ...report, said: counts + failed.slice(0, 50).join("") };
}

// mocha joins the names of suites by a space.
function ofMocha({ title, fullTitle, file, err }: z.infer<typeof mochaTest>, status: Found["status"]): Found {
  const suites = fullTitle.endsWith(` ${title}`) ? fullTitle.slice(0, -title.length - 1) : "";
  return {
    name: joined(joined("", suites), title),
    file: file ?? undefined,
    status,
    message: err?.stack ?? err?.message,
  };
}

function addedTo(collection: ReturnType<typeof createCollection>, found: readonly Found[]): Report {
  for (const one of found) if (!collection.add(one)) break;
  return collection.report();
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
