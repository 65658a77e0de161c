import { stringify } from "yaml";
import { settingsPath } from "../src/settings.ts";
import { boundedBody, fencedText, inlineCode, inlineText } from "../src/text.ts";
import { triggerLabel } from "../src/triggers.ts";
import type { Baseline } from "./baseline.ts";
import type { Survey } from "./survey.ts";

/** Week by week, at an hour at which few people wait for their machines. */
const schedule = "0 5 * * 1";
const readmeKeys = "Every key has a default; what is written here wins over what is detected.";

/** A repository's first settings file: what was detected as comments, and one task where there is one to offer. */
export function renderFirstSettings({ environment, isUpdatable }: Pick<Survey, "environment" | "isUpdatable">): string {
  const { setup, checks } = environment;
  const detected = { setup, checks: checks.map(({ run }) => run) };
  const shown = checks.length === 0 ? { ...detected, checks: ["<the command that runs your tests>"] } : detected;
  return [
    "# What agent-fix runs here, and what it does by itself.",
    `# ${readmeKeys}`,
    "#",
    "# Detected:",
    ...stringify(shown, { lineWidth: 0 })
      .trimEnd()
      .split("\n")
      .map((line) => `# ${line}`),
    "",
    ...(isUpdatable ? [] : ["# Tasks on a schedule, such as:"]),
    ...taskLines(isUpdatable ? "" : "# "),
    "",
  ].join("\n");
}

function taskLines(mark: string): string[] {
  return [
    "maintenance:",
    "  dependencies:",
    "    use: dependencies",
    `    schedule: "${schedule}"`,
    "    timezone: UTC",
  ].map((line) => `${mark}${line}`);
}

const languages: Readonly<Record<string, string>> = {
  npm: "JavaScript",
  pnpm: "JavaScript",
  yarn: "JavaScript",
  pytest: "Python",
  go: "Go",
  cargo: "Rust",
  maven: "Java",
  gradle: "Java",
};

/** Such as "JavaScript (npm)". */
function languagesIn(from: string): string {
  const names = from.split(", ").map((tool) => (languages[tool] === undefined ? tool : `${languages[tool]} (${tool})`));
  return names.join(", ");
}

/** The first pull request's body: what was found, what the checks say, and what merging and closing mean. */
export function renderFirstBody({ environment, isUpdatable, measured }: Survey, commit: string): string {
  const { from, setup, checks, image, notes } = environment;
  const codes = (all: readonly string[]) => (all.length === 0 ? "none" : all.map(inlineCode).join(", "));
  return boundedBody(
    [
      `This adds \`${settingsPath}\`. **Merge it to enable agent-fix here. Close it unmerged to keep it off**: then I do nothing by myself in this repository. A person with write access can still set the label \`${triggerLabel}\` on an issue.`,
      "## What I found",
      [
        "| | found |",
        "|---|---|",
        `| Languages and package managers | ${inlineText(languagesIn(from))} |`,
        `| Set-up | ${codes(setup)} |`,
        `| Checks | ${codes(checks.map(({ run }) => run))} |`,
        ...(image === undefined ? [] : [`| Image | ${inlineCode(image)} |`]),
      ].join("\n"),
      ...notes.map((note) => `- ${inlineText(note)}`),
      `## What your checks say at \`${commit.slice(0, 7)}\``,
      ...(measured.ok ? baselineText(measured.baseline) : [`They could not be run: ${measured.outcome.detail}`]),
      "## What happens when this is merged",
      [
        `- An issue with the label \`${triggerLabel}\` comes back as a pull request that these checks have passed.`,
        isUpdatable
          ? `- The task \`dependencies\` is due at \`${schedule}\` (UTC). At most one maintenance pull request is opened in an hour, and at most two are open at once.`
          : "- Nothing is on a schedule until you add a task under `maintenance`.",
        ...(isUpdatable ? ["- An issue named `agent-fix dashboard` shows the tasks, with a box to run each now."] : []),
      ].join("\n"),
      "To have this opened again after it was closed, rename it.",
    ].join("\n\n"),
  );
}

function baselineText({ results, flaky, broken }: Baseline): string[] {
  const rows = results.map(
    ({ run, end, ms }) => `| ${inlineCode(run)} | ${inlineText(end)} | ${Math.ceil(ms / 1000)} s |`,
  );
  const names = flaky.map(({ check, test }) => inlineCode(test?.name ?? check)).join(", ");
  const log = results.map(({ run, end, tail }) => `$ ${run}\n${tail}\n[${end}]`).join("\n\n");
  return [
    "Each ran in a new container without network, as it will on every change:",
    ["| check | result | took |", "|---|---|---|", ...rows].join("\n"),
    ...(broken === undefined ? [] : [`As it stands, no change could be checked: ${inlineText(broken.cause)}.`]),
    ...(names === "" ? [] : [`Ended otherwise the second time: ${names}.`]),
    `<details><summary>The log</summary>\n\n${fencedText(log.slice(-20_000))}\n\n</details>`,
  ];
}
