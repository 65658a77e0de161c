import { z } from "zod";
import { readSettingsFile } from "./settings-file.ts";
import { explainIssues } from "./settings-problems.ts";
import { cronProblem, zoneProblem } from "./settings-times.ts";

/** A text with an example of it, which editors and complaints show. */
const text = (example: string) =>
  z
    .string()
    .min(1)
    .meta({ examples: [example] });
/** Each is held against each path of a change. */
const globs = (glob: z.ZodString, ...example: string[]) =>
  z
    .array(glob.max(200))
    .max(100)
    .default([])
    .meta({ examples: [example] });
const texts = (...example: string[]) => z.array(z.string()).meta({ examples: [example] });

/** A check of one value by what is wrong with it, if anything is. */
function complainOf(problemOf: (value: string) => string | undefined) {
  return (value: string, context: z.RefinementCtx<string>) => {
    const message = problemOf(value);
    if (message !== undefined) context.addIssue({ code: "custom", message });
  };
}

const timezone = z
  .string()
  .superRefine(complainOf(zoneProblem))
  .default("UTC")
  .meta({ examples: ["Europe/Berlin"] });

const check = z.union([
  text("npm test").describe("A command, which is its own name"),
  z.strictObject({
    name: text("unit"),
    run: text("npm test").describe("The command; it passes with exit code 0"),
    required: z.boolean().default(true),
    paths: globs(
      z.string().regex(/[^\s./]/, "a glob or a folder below the repository's root, such as packages/a"),
      "packages/a",
    ).describe("What it is about, as globs or folders: matched as `protect` is. Default: everything"),
    report: z
      .string()
      .regex(
        /^(?!(?:.*\/)?\.{0,2}(?:\/|$))[^\0\n]+$/,
        "a file's path below the repository's root, such as build/junit.xml",
      )
      .optional()
      .describe("The file in which the test runner leaves its results: JUnit XML, TAP or JSON")
      .meta({ examples: ["build/junit.xml"] }),
  }),
]);
const checks = z.array(check).superRefine((all, context) => {
  const above = new Map<string, number>();
  for (const [index, one] of all.entries()) {
    const name = typeof one === "string" ? one : one.name;
    const first = above.get(name);
    if (first === undefined) above.set(name, index);
    else
      context.addIssue({
        code: "custom",
        path: [index],
        message: `there is a check of that name above it (\`checks.${first}\`). Give it a \`name\` of its own.`,
      });
  }
});

const task = z
  .strictObject({
    use: z.enum(["dependencies", "flaky-tests"]).optional().describe("A ready-made task, in place of `task`"),
    task: text("Remove unused exports").optional().describe("What to do, in words"),
    schedule: z
      .string()
      .superRefine(complainOf(cronProblem))
      .describe("Five cron fields: minute, hour, day of the month, month, day of the week")
      .meta({ examples: ["0 5 * * 1"] }),
    timezone: timezone.describe("In which the schedule is meant"),
    update: texts("npm update")
      .default([])
      .describe("Commands that are run with network access before the model starts"),
    measure: text("npx knip | wc -l")
      .optional()
      .describe("A command that prints a number, which the task is to bring down"),
    paths: globs(z.string(), "src/**").describe(
      "What it may change, as globs or folders: matched as `protect` is. Default: everything",
    ),
  })
  .superRefine(({ use, task: words, update }, context) => {
    const has = (part: unknown) => part !== undefined;
    if (has(use) && has(words))
      context.addIssue({ code: "custom", message: "it has both `use` and `task`. Keep the one that is meant." });
    if (!has(use) && !has(words) && update.length === 0)
      context.addIssue({
        code: "custom",
        message:
          'it says nothing to do. Add `task: "Remove unused exports"` or the like, a ready-made `use: dependencies`, or an `update` command.',
      });
  })
  .meta({
    anyOf: [{ required: ["use"] }, { required: ["task"] }, { required: ["update"] }],
    not: { required: ["use", "task"] },
  });

const taskKey = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,39}$/, "up to 40 lower-case letters, digits and dashes")
  .regex(/(?<!-\d{1,40})$/, "with a letter behind its last dash: a number there counts the branches of a task");

/** The dashboard has room for so many. */
const mostTasks = 50;

const unattended = z.strictObject({
  dryRun: z
    .boolean()
    .default(false)
    .describe("Everything but branches and pull requests; the dashboard issue shows what would be"),
  forks: z.boolean().default(false).describe("Also where this repository is a fork: it has this file from its parent"),
  open: z.number().int().min(0).default(2).describe("Maintenance pull requests open at once"),
  hourly: z.number().int().min(0).default(1).describe("New ones within an hour"),
  quiet: z
    .array(
      z.string().regex(/^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$/, 'hours from and to, such as "22:00-06:00"'),
    )
    .default([])
    .describe("Hours without new ones")
    .meta({ examples: [["22:00-06:00"]] }),
  timezone: timezone.describe("In which the quiet hours are meant"),
});

const limits = z.strictObject({
  minutes: z
    .number()
    .int()
    .min(1)
    .max(24 * 60)
    .default(120),
  steps: z.number().int().min(1).max(5000).default(300).describe("Replies of the model"),
  tokens: z.number().int().min(1000).default(40_000_000).describe("As the model's server counts them"),
});

const schema = z
  .strictObject({
    image: text("node:24-bookworm")
      .optional()
      .describe("The container image to work in. Default: that of devcontainer.json, else the operator's"),
    setup: texts("npm ci").optional().describe("Commands with network access, once. Default: detected"),
    prepare: texts("npm run build")
      .default([])
      .describe("Commands without network access, in every new container after checkout"),
    checks: checks.optional().describe("The commands that a change must pass. Default: detected"),
    base: text("main").optional().describe("The branch to start from and to open against"),
    plan: z.boolean().default(false).describe("A written plan first, which `/agent-fix approve` carries out"),
    limits: limits.prefault({}).describe("Of one run"),
    network: z
      .strictObject({
        setup: texts("auto", "packages.example.com").default(["auto"]).describe("`auto`, or exact hosts"),
        agent: texts("packages.example.com").default([]).describe("Exact hosts that the agent's own commands reach"),
      })
      .prefault({})
      .describe("What can be reached from the sandbox"),
    review: z
      .strictObject({
        trigger: z.enum(["any", "mention", "changes-requested"]).default("any").describe("What of a review counts"),
        resolve: z.boolean().default(true).describe("Threads that a commit mends are resolved"),
      })
      .prefault({}),
    checksWatch: z
      .strictObject({ fix: z.boolean().default(true), attempts: z.number().int().min(0).default(3) })
      .prefault({})
      .describe("Whether failing checks and conflicts on its pull requests are mended, and how often in a row"),
    ci: z.enum(["hold", "run"]).optional().describe("Whether the repository's own CI runs on its commits"),
    protect: globs(z.string(), "migrations/**").describe("Paths that no change may touch, beside the built-in ones"),
    keepBranch: z.boolean().default(false).describe("Push the branch when no pull request opens"),
    maintenance: z
      .preprocess(
        // Before each is looked at.
        (value, context) => {
          if (Object.keys(Object(value)).length > mostTasks)
            context.addIssue({ code: "custom", message: `at most ${mostTasks} tasks`, input: value });
          return value;
        },
        z.record(taskKey, task),
      )
      .default({})
      .describe("Scheduled tasks, by their keys, which are part of their branches' names"),
    unattended: unattended.prefault({}).describe("What is done without being asked"),
  })
  .meta({ title: "agent-fix", description: "Settings of one repository: .github/agent-fix.yml" });

/** One repository's `.github/agent-fix.yml`, with the defaults filled in. */
export type Settings = z.infer<typeof schema>;
export type SettingsResult = { ok: true; settings: Settings } | { ok: false; problems: string[] };

export const settingsPath = ".github/agent-fix.yml";
export const defaultSettings: Settings = schema.parse({});

/** JSON Schema (draft 7, which editors know) of the settings file. */
export function settingsJsonSchema(): z.core.JSONSchema.JSONSchema {
  const described = z.toJSONSchema(schema, {
    io: "input",
    target: "draft-7",
    override({ jsonSchema }) {
      // The largest whole number that JavaScript has tells nobody anything.
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    },
  });
  return { $id: "urn:agent-fix:settings", ...described };
}

/**
 * Each problem is one sentence of Markdown in plain words, with the line, the key, and what to write instead: of an
 * unknown key or word, the nearest known one. Of many, the last line says how many more there are.
 */
export function parseSettings(file: string): SettingsResult {
  const read = readSettingsFile(file);
  if (!read.ok) return read;
  const parsed = schema.safeParse(read.value, { reportInput: true });
  if (parsed.success) return { ok: true, settings: parsed.data };
  return { ok: false, problems: explainIssues(parsed.error.issues, { ...read, schema: settingsJsonSchema() }) };
}
