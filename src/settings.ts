import { LineCounter, isNode, parseDocument } from "yaml";
import { z } from "zod";

const minutes = z
  .number()
  .int()
  .min(1)
  .max(24 * 60);
const check = z.union([
  z.string().min(1),
  z.strictObject({
    name: z.string().min(1),
    run: z.string().min(1),
    required: z.boolean().default(true),
    paths: z
      .array(z.string().regex(/[^\s./]/, "a glob or a folder below the repository's root, such as packages/a"))
      .default([])
      .describe("What it is about, as globs or folders: matched as `protect` is. Default: everything"),
    report: z
      .string()
      .regex(
        /^(?!(?:.*\/)?\.{0,2}(?:\/|$))[^\0\n]+$/,
        "a file's path below the repository's root, such as build/junit.xml",
      )
      .optional(),
  }),
]);
const task = z.strictObject({
  use: z.enum(["dependencies", "flaky-tests"]).optional(),
  task: z.string().min(1).optional(),
  schedule: z.string().regex(/^\S+(\s+\S+){4}$/, "five cron fields, such as 0 5 * * 1"),
  timezone: z.string().default("UTC"),
  update: z.array(z.string()).default([]),
  measure: z.string().optional(),
  paths: z.array(z.string()).default([]),
});

const schema = z.strictObject({
  image: z.string().min(1).optional(),
  setup: z.array(z.string()).optional(),
  prepare: z.array(z.string()).default([]),
  checks: z.array(check).optional(),
  base: z.string().optional(),
  plan: z.boolean().default(false),
  limits: z
    .strictObject({
      minutes: minutes.default(120),
      steps: z.number().int().min(1).max(5000).default(300),
      tokens: z.number().int().min(1000).default(40_000_000),
    })
    .prefault({}),
  network: z
    .strictObject({ setup: z.array(z.string()).default(["auto"]), agent: z.array(z.string()).default([]) })
    .prefault({}),
  review: z
    .strictObject({
      trigger: z.enum(["any", "mention", "changes-requested"]).default("any"),
      resolve: z.boolean().default(true),
    })
    .prefault({}),
  checksWatch: z
    .strictObject({ fix: z.boolean().default(true), attempts: z.number().int().min(0).default(3) })
    .prefault({}),
  ci: z.enum(["hold", "run"]).optional(),
  protect: z.array(z.string()).default([]),
  keepBranch: z.boolean().default(false),
  maintenance: z
    .record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/, "a key of lower-case letters, digits and dashes"), task)
    .default({}),
});

/** One repository's `.github/agent-fix.yml`, with the defaults filled in. */
export type Settings = z.infer<typeof schema>;
export type SettingsResult = { ok: true; settings: Settings } | { ok: false; problems: string[] };

export const settingsPath = ".github/agent-fix.yml";
export const defaultSettings: Settings = schema.parse({});

/** JSON Schema of the settings file, for editors. */
export function settingsJsonSchema(): object {
  return z.toJSONSchema(schema, { io: "input" });
}

/** Each problem is one sentence with the line, the key and, for an unknown key, the nearest known one. */
export function parseSettings(text: string): SettingsResult {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: true });
  if (document.errors.length > 0)
    return { ok: false, problems: document.errors.map((error) => firstLine(error.message)) };
  const parsed = schema.safeParse(document.toJS({ maxAliasCount: 20 }) ?? {});
  if (parsed.success) return { ok: true, settings: parsed.data };

  const lineOf = (path: readonly PropertyKey[]) => {
    const node = document.getIn(path as string[], true);
    const offset = isNode(node) ? node.range?.[0] : undefined;
    return offset === undefined ? 1 : lines.linePos(offset).line;
  };
  return { ok: false, problems: parsed.error.issues.flatMap((issue) => explain(issue, lineOf)) };
}

function explain(issue: z.core.$ZodIssue, lineOf: (path: readonly PropertyKey[]) => number): string[] {
  // Of a check that is written as an object, the object's own problems tell what is wrong.
  const inside =
    issue.code === "invalid_union"
      ? issue.errors.find((errors) => errors.some(({ path }) => path.length > 0))
      : undefined;
  if (inside !== undefined)
    return inside.flatMap((one) => explain({ ...one, path: [...issue.path, ...one.path] }, lineOf));
  const where = issue.path.map(String).join(".");
  if (issue.code !== "unrecognized_keys")
    return [`line ${lineOf(issue.path)}: \`${where || "the file"}\`: ${issue.message}`];
  const known = knownKeys(issue.path);
  return issue.keys.map((key) => {
    const near = nearest(key, known);
    const full = [...issue.path.map(String), key].join(".");
    return `line ${lineOf([...issue.path, key])}: unknown key \`${full}\`${near === undefined ? "" : `, did you mean \`${near}\`?`}`;
  });
}

const groups: Record<string, readonly string[]> = {
  "": Object.keys(schema.shape),
  limits: ["minutes", "steps", "tokens"],
  network: ["setup", "agent"],
  review: ["trigger", "resolve"],
  checksWatch: ["fix", "attempts"],
  maintenance: Object.keys(task.shape),
  checks: ["name", "run", "required", "paths", "report"],
};

function knownKeys(path: readonly PropertyKey[]): readonly string[] {
  return groups[String(path[0] ?? "")] ?? [];
}

/** The known word with the fewest edits, if it is close enough to be what was meant. */
function nearest(word: string, known: readonly string[]): string | undefined {
  const ranked = known.map((candidate) => ({
    candidate,
    edits: distance(word.toLowerCase(), candidate.toLowerCase()),
  }));
  const best = ranked.sort((a, b) => a.edits - b.edits)[0];
  return best !== undefined && best.edits <= Math.max(2, Math.floor(word.length / 3)) ? best.candidate : undefined;
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

function firstLine(text: string): string {
  return text.split("\n")[0] ?? text;
}
