/** A word of a shell command without its quotes, and where it ends in the command. */
export interface Word {
  text: string;
  end: number;
}

/** The words of one plain command; undefined where the shell would do more than call a program with them. */
export function words(command: string): Word[] | undefined {
  const found: Word[] = [];
  const next = /[ \t]*((?:[^\s'"\\|&;<>()$`#]|'[^'\n]*'|"[^"\\$`\n]*")+)/y;
  const end = command.trimEnd().length;
  next.lastIndex = end - command.trim().length;
  while (next.lastIndex < end) {
    const match = next.exec(command);
    if (match === null) return undefined;
    found.push({ text: (match[1] ?? "").replaceAll(/['"]/g, ""), end: next.lastIndex });
  }
  return found;
}

/** Patterns of the words before a command that only lead to it; their flags are left out with them. */
const wrappers: RegExp[][] = [
  [/^(?:env|cross-env|exec|command|time|npx|c8|nyc)$/],
  [/^(?:npm|pnpm|yarn)$/, /^exec$/],
  [/^(?:uv|poetry|pipenv|pdm|hatch|rye)$/, /^run$/],
  [/^coverage$/, /^run$/],
  [/^python[\d.]*$/, /^-m$/, /^coverage$/, /^run$/],
  [/^timeout$/, /^\d+[smh]?$/],
];
// These run a program of the repository's packages where no script has its name.
const shortened = [/^(?:pnpm|yarn)$/, /^(?:vitest|jest|mocha|tape)$/];

/** What a command calls behind `npx`, `env` and the like, and the variables that it sets. */
export function withoutWrappers(all: readonly Word[]): { command: readonly Word[]; set: string[] } {
  const set: string[] = [];
  let at = 0;
  const startsWith = (patterns: readonly RegExp[]) =>
    patterns.every((pattern, index) => pattern.test(all[at + index]?.text ?? ""));
  for (;;) {
    const [, variable] = /^([A-Za-z_]\w*)=/.exec(all[at]?.text ?? "") ?? [];
    const wrapper = wrappers.find(startsWith);
    if (variable !== undefined) set.push(variable);
    else if (!wrapper && !startsWith(shortened)) return { command: all.slice(at), set };
    at += wrapper?.length ?? 1;
    if (wrapper) while (all[at]?.text.startsWith("-") === true) at++;
  }
}

/** The last part of a program's path. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
