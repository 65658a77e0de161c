import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { array, assert, constantFrom, oneof, pre, property, sample, string, uniqueArray } from "fast-check";
import { describe, expect, it } from "vitest";
import { refusalsOf } from "../../sandbox/paths.ts";
import type { Entry, TrackedModes } from "../../sandbox/paths.ts";

function entry(path: string | Buffer, mode = "100644", content = "x"): Entry {
  return { path: Buffer.from(path), mode, content: mode === "000000" ? undefined : Buffer.from(content) };
}
const link = (path: string, target: string) => entry(path, "120000", target);
const gone = (path: string) => entry(path, "000000");

function commit(...paths: string[]): TrackedModes {
  return new Map(paths.map((path) => [Buffer.from(path).toString("latin1"), { mode: "100644" }]));
}

const git_ = "is .git, or is taken for it by a file system";
const reserved = "is a reserved name on Windows";
const out = "points out of the repository";

describe("refusalsOf", () => {
  it.each([
    "src/index.ts",
    ".github/workflows/x.yml",
    ".gitignore",
    ".gitattributes",
    ".gitmodules",
    ".gitkeep",
    "a/.gitignore",
    "git",
    "git~",
    "git~a",
    "x.git",
    ".gitx",
    ".git-hooks/pre-commit",
    "--upload-pack=x",
    "-rf",
    "$(id)",
    "a b",
    "ü/é.txt",
    "日本語.md",
    "👩‍👧.md",
    "*",
    "%",
    "console.ts",
    "auxiliary",
    "com10",
    "...",
    "a".repeat(255),
  ])("lets %j out", (path) => {
    expect(refusalsOf([entry(path)])).toEqual([]);
  });

  it.each([
    [".git/config", git_],
    [".git", git_],
    ["a/.git", git_],
    ["a/.git/hooks/post-checkout", git_],
    [".GIT/config", git_],
    [".gIt", git_],
    ["git~1/config", git_],
    ["GIT~1", git_],
    ["git~2/x", git_],
    [".git./config", git_],
    [".git /config", git_],
    [".git . ./config", git_],
    ["git~1. /config", git_],
    [".git::$INDEX_ALLOCATION/config", git_],
    [".git:x", git_],
    ["a\\.git\\config", git_],
    ["a\\git~1", git_],
    [".g\u200cit/config", git_],
    ["\ufeff.git", git_],
    [".gi\u202et/x", git_],
    ["\u206a.g\u206fit/x", git_],
    [".ｇｉｔ/x", git_],
    ["../out", "empty, . or .. components"],
    ["a/../b", "empty, . or .. components"],
    ["./a", "empty, . or .. components"],
    ["a/.", "empty, . or .. components"],
    ["a//b", "empty, . or .. components"],
    ["a/", "empty, . or .. components"],
    ["", "not a path inside"],
    ["/etc/passwd", "not a path inside"],
    ["a\\b", 'has a "\\" or ":"'],
    ["c:/x", 'has a "\\" or ":"'],
    ["file:stream", 'has a "\\" or ":"'],
    ["a\nb", "control characters"],
    ["a\0b", "control characters"],
    ["a\rb", "control characters"],
    ["a\u0085b", "control characters"],
    ["a\u2028b", "control characters"],
    ["a\x7fb", "control characters"],
    ["aux", reserved],
    ["a/NUL.txt", reserved],
    ["Com1", reserved],
    ["lpt¹.c", reserved],
    ["con.d/a", reserved],
    ["prn .x", reserved],
    ["CONIN$", reserved],
    [".GitModules", "file systems take its name for .gitmodules"],
    ["gitmod~1", "file systems take its name for .gitmodules"],
    ["GI7EBA~1", "file systems take its name for .gitmodules"],
    ["gi7eb~12", "file systems take its name for .gitmodules"],
    [".gitattributes.", "file systems take its name for .gitattributes"],
    ["gitatt~4", "file systems take its name for .gitattributes"],
    ["a/.gitignore ", "file systems take its name for .gitignore"],
    [".mail\u200cmap", "file systems take its name for .mailmap"],
    [`${"a/".repeat(2048)}b`, "longer than 4096 bytes"],
    [Buffer.from([0x61, 0xff]), "not UTF-8"],
    [Buffer.from([0xc0, 0xae]), "not UTF-8"],
    [Buffer.from([0xed, 0xa0, 0x80]), "not UTF-8"],
  ])("keeps %j in", (path, reason) => {
    expect(refusalsOf([entry(path)])).toEqual([expect.stringContaining(reason)]);
  });

  it.each([
    ["160000", "a repository of its own"],
    ["040000", "neither a file nor a link"],
    ["100664", "neither a file nor a link"],
    ["", "neither a file nor a link"],
  ])("keeps an entry of the mode %j in", (mode, reason) => {
    expect(refusalsOf([entry("a", mode)])).toEqual([expect.stringContaining(reason)]);
  });

  it.each([
    ["a", "b"],
    ["a", "dir/b"],
    ["dir/a", "../b"],
    ["x/y/a", "../../b/c"],
    ["dir/a", ".."],
    ["a", "."],
    ["a", "none"],
    ["a", "..."],
    ["a", ".github/x"],
  ])("lets a link %j to %j out", (path, target) => {
    expect(refusalsOf([link(path, target)])).toEqual([]);
  });

  it.each([
    ["a", "/etc/passwd", out],
    ["a", "/proc/self/environ", out],
    ["a", "..", out],
    ["a", "../b", out],
    ["dir/a", "../../b", out],
    ["dir/a", "x/../../../b", out],
    ["dir/a", "x/..", out],
    ["a", "c:/windows", out],
    ["a", "\\\\server\\share", out],
    ["a", "", "its target is no path"],
    ["a", "b\0c", "its target is no path"],
    ["a", "b\n", "its target is no path"],
    ["a", ".git/config", "points into .git"],
    ["dir/a", "../.GIT", "points into .git"],
    ["a", "git~1/x", "points into .git"],
    [".gitmodules", "a", "may not be a link"],
    ["a/.gitattributes", "b", "may not be a link"],
    [".gitignore", "a", "may not be a link"],
    [".mailmap", "a", "may not be a link"],
    [".git", "a", git_],
  ])("keeps a link %j to %j in", (path, target, reason) => {
    expect(refusalsOf([link(path, target)])).toEqual([expect.stringContaining(reason)]);
  });

  it("names the path and shows what can't be seen in it", () => {
    expect(refusalsOf([entry("a\u200c/.git/x"), entry("b\u202e:c")])).toEqual([
      expect.stringMatching(/^a\\u\{200c\}\/\.git\/x: /),
      expect.stringMatching(/^b\\u\{202e\}:c: /),
    ]);
  });
});

describe("refusalsOf, of names that are one where case or Unicode form does not count", () => {
  const one = "are one name where case does not count";

  it.each([
    ["Readme", "README"],
    ["a/b", "A/c"],
    ["a", "A/b"],
    ["\u00e9", "e\u0301"],
    ["ﬁle", "file"],
    ["straße", "STRASSE"],
    ["\u212a", "k"],
    ["a", "a."],
    ["a/b", "a /c"],
    ["x\u200dy", "xy"],
  ])("keeps %j and %j in, whether both are new or one was there", (first, second) => {
    const refused = [expect.stringContaining(one)];

    expect(refusalsOf([entry(first), entry(second)])).toEqual(refused);
    expect(refusalsOf([entry(second), entry(first)])).toEqual(refused);
    expect(refusalsOf([entry(second)], commit(first))).toEqual(refused);
    expect(refusalsOf([entry(first)], commit(second, "other"))).toEqual(refused);
    expect(refusalsOf([entry(second), entry(first, "100755")], commit(first))).toEqual(refused);
  });

  it("lets a rename to other letters out, and whatever the commit has already", () => {
    expect(refusalsOf([gone("Readme"), entry("README")], commit("Readme"))).toEqual([]);
    expect(refusalsOf([gone("dir/a"), gone("dir/b"), entry("Dir/a")], commit("dir/a", "dir/b"))).toEqual([]);
    expect(refusalsOf([entry("Readme"), gone("x/A"), entry("x/a")], commit("Readme", "README", "x/a", "x/A"))).toEqual(
      [],
    );
    expect(refusalsOf([entry("x/new")], commit("x/a", "X/a"))).toEqual([]);
    expect(refusalsOf([entry("x/B")], commit("x/a", "X/b"))).toEqual([`x/B and X/b ${one}. Rename one.`]);
  });

  it("keeps a new folder in that is an old one in other letters", () => {
    expect(refusalsOf([entry("Dir/new")], commit("dir/a"))).toEqual([`Dir and dir ${one}. Rename one.`]);
    expect(refusalsOf([gone("dir/a"), entry("Dir/new")], commit("dir/a", "dir/b"))).toEqual([
      `Dir and dir ${one}. Rename one.`,
    ]);
  });
});

describe("refusalsOf, beside what the commit holds", () => {
  it("lets what was there be edited, deleted and joined, whatever its name is on other systems", () => {
    const old = ["aux.c", "i2c/aux/x.c", "a:b", "c\\d", "tab\there", ".GITIGNORE", "gitmod~1"];
    const tracked = commit(...old);

    expect(
      refusalsOf(
        old.map((path) => entry(path)),
        tracked,
      ),
    ).toEqual([]);
    expect(refusalsOf(old.map(gone), tracked)).toEqual([]);
    expect(refusalsOf([entry("i2c/aux/new.c")], tracked)).toEqual([]);
    expect(refusalsOf([entry("i2c/aux/nul.c")], tracked)).toEqual([expect.stringContaining(reserved)]);
  });

  it("keeps in what would be .git, even where the commit has it", () => {
    expect(refusalsOf([entry("x/.GIT/config")], commit("x/.GIT/config"))).toEqual([expect.stringContaining(git_)]);
    expect(refusalsOf([entry("a\\.git")], commit("a\\.git"))).toEqual([expect.stringContaining(git_)]);
  });

  it("keeps a path in that would be below a file or a link, old or new", () => {
    const tracked: TrackedModes = new Map([
      ["link", { mode: "120000" }],
      ["dir/file", { mode: "100644" }],
    ]);

    expect(refusalsOf([entry("link/passwd")], tracked)).toEqual([
      "link/passwd: link is no folder. Remove the one or the other.",
    ]);
    expect(refusalsOf([entry("dir/file/x/y")], tracked)).toEqual([expect.stringContaining("dir/file is no folder")]);
    expect(refusalsOf([link("new", "dir"), entry("new/file")])).toEqual([expect.stringContaining("new is no folder")]);
    expect(refusalsOf([entry("new/file"), link("new", "dir")])).toEqual([
      expect.stringContaining("it is a folder as well"),
    ]);
    expect(refusalsOf([link("dir", "link")], tracked)).toEqual([
      "dir: it is a folder as well. Remove the one or the other.",
    ]);
    expect(refusalsOf([entry("link", "100755"), entry("link/x")], tracked)).toEqual([
      expect.stringContaining("link is no folder"),
    ]);
  });

  it("lets a link or file become a folder, and a folder a link or file, when all of it is replaced", () => {
    const tracked = commit("link", "dir/a", "dir/b/c");

    expect(refusalsOf([gone("link"), entry("link/x")], tracked)).toEqual([]);
    expect(refusalsOf([gone("dir/a"), gone("dir/b/c"), link("dir", "link")], tracked)).toEqual([]);
    expect(refusalsOf([gone("dir/a"), link("dir", "link")], tracked)).toEqual([
      expect.stringContaining("it is a folder as well"),
    ]);
  });

  it("knows a path of the commit that is no ASCII by its bytes", () => {
    expect(refusalsOf([entry("ü:x")], commit("ü:x"))).toEqual([]);
    expect(refusalsOf([entry("Ü")], commit("ü"))).toEqual([expect.stringContaining("are one name")]);
  });
});

/** Parts of names that some system reads in its own way, in any order and case. */
const piece = oneof(
  { weight: 4, arbitrary: constantFrom(".git", "git~1", ".gitmodules", "gitmod~1", "gi7eba~1", ".", "..", "a", "Ab") },
  { weight: 2, arbitrary: constantFrom("aux", "NUL", "com1", ".gitattributes", "gitatt~1", ".mailmap", ".gitignore") },
  {
    weight: 3,
    arbitrary: constantFrom("\u200c", "\u200f", "\u202a", "\u206f", "\ufeff", " ", ".", ":", "::$DATA", "\\", "/"),
  },
  { weight: 1, arbitrary: constantFrom("e\u0301", "\u00e9", "ß", "ss", "\u212a", "ı", "ﬁ", "~", "1", "\n", "\u2028") },
  { weight: 1, arbitrary: string({ unit: "binary", maxLength: 3 }) },
);
const cased = piece.chain((text) => constantFrom(text, text, text.toUpperCase(), text.toLowerCase()));
const name = array(cased, { minLength: 1, maxLength: 4 }).map((pieces) => pieces.join(""));
const somePath = array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));

describe("refusalsOf, against git itself", () => {
  it("refuses whatever path `git fsck --strict` finds fault with, as a file and as a link", () => {
    const paths = sample(somePath, 1500).filter((path) => !path.includes("\0") && !path.split("/").includes(""));

    for (const mode of ["100644", "120000"]) {
      const faulty = faultyPaths(paths, mode);
      const passed = paths.filter((path) => refusalsOf([entry(path, mode)]).length === 0);

      // The grammar has to make both kinds in number, or the comparison says nothing.
      expect([passed.length, faulty.size].map((count) => count > 100)).toEqual([true, true]);
      expect(passed.filter((path) => faulty.has(path))).toEqual([]);
    }
  }, 120_000);

  /** Which of these paths make a tree that the strict check complains about. */
  function faultyPaths(paths: readonly string[], mode: string): Set<string> {
    const folder = mkdtempSync(join(tmpdir(), "agent-fix-test-"));
    const run = (args: string[], input = "") => spawnSync("git", args, { cwd: folder, input, encoding: "utf8" });
    run(["init", "-q", "--bare", "--template=", "."]);
    const empty = run(["mktree"]).stdout.trim();
    const blob = run(["hash-object", "-w", "--stdin"], "x").stdout.trim();
    // A tree of its own for each component, as what the check complains about is one tree.
    const rowsOf = (path: string) =>
      path.split("/").map((part, index, parts) => {
        const object = index === parts.length - 1 ? `${mode} blob ${blob}` : `040000 tree ${empty}`;
        return `${object}\t${part}\0\0`;
      });
    const rows = [...new Set(paths.flatMap(rowsOf))];
    const made = run(["mktree", "-z", "--batch"], rows.join("")).stdout.trim().split("\n");
    const said = run(["fsck", "--strict", "--no-dangling", "--no-progress"]).stderr;
    rmSync(folder, { recursive: true });
    expect(made).toHaveLength(rows.length);
    const faults = new Set(Array.from(said.matchAll(/^error in tree (\w+):/gm), ([, tree = ""]) => tree));
    const faultyRows = new Set(rows.filter((_row, index) => faults.has(made[index] ?? "")));
    return new Set(paths.filter((path) => rowsOf(path).some((row) => faultyRows.has(row))));
  }
});

/** What Windows makes of a name: the stream's name and dots and blanks at the end are dropped, capitals compared. */
function onWindows(part: string): string {
  return (part.split(":")[0] ?? "").replace(/[. ]+$/, "").toUpperCase();
}

/** What macOS makes of it: code points that draw nothing are dropped, accents taken apart, small letters compared. */
function onMac(part: string): string {
  const visible = Array.from(part).filter((sign) => !ignoredOnMac.has(sign.codePointAt(0) ?? 0));
  return visible.join("").normalize("NFD").toLowerCase();
}

const ignoredOnMac = new Set([
  0x200c, 0x200d, 0x200e, 0x200f, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x206a, 0x206b, 0x206c, 0x206d, 0x206e,
  0x206f, 0xfeff,
]);
const devices = new Set(["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"]);

describe("refusalsOf, against what Windows and macOS do with names", () => {
  it("lets no new name out that one of them takes for .git, for a device, a drive or a stream", () => {
    assert(
      property(somePath, (path) => {
        pre(refusalsOf([entry(path)]).length === 0);
        for (const part of path.split("/")) {
          expect(part).not.toMatch(/[\\:]/);
          expect([".GIT", "GIT~1"]).not.toContain(onWindows(part));
          expect(onMac(part)).not.toBe(".git");
          const device = (onWindows(part).split(".")[0] ?? "").replace(/ +$/, "");
          expect(devices.has(device) || /^(?:COM|LPT)\d$/.test(device)).toBe(false);
        }
      }),
      { numRuns: 1000, maxSkipsPerRun: 20 },
    );
  });

  it("lets no two names out that are one there, but what the commit has already", () => {
    const small = array(constantFrom("a", "A", "b", "e\u0301", "\u00e9", "\u200c", "."), {
      minLength: 1,
      maxLength: 2,
    });
    const short = array(
      small.map((parts) => parts.join("")),
      { minLength: 1, maxLength: 2 },
    ).map((parts) => parts.join("/"));
    const paths = uniqueArray(short, { minLength: 1, maxLength: 4 });
    assert(
      property(paths, paths, (old, fresh) => {
        const tracked = commit(...old);
        pre(
          refusalsOf(
            fresh.map((path) => entry(path)),
            tracked,
          ).length === 0,
        );
        const known = new Set(old.flatMap(prefixes));
        const all = [...new Set([...old, ...fresh].flatMap(prefixes))];
        for (const name of [onWindows, onMac]) {
          const key = (path: string) => path.split("/").map(name).join("/");
          const joined = all.filter((one) => all.some((other) => other !== one && key(other) === key(one)));
          expect(joined.filter((path) => !known.has(path))).toEqual([]);
        }
      }),
      { numRuns: 1000, maxSkipsPerRun: 50 },
    );
  });
});

function prefixes(path: string): string[] {
  return path.split("/").map((_part, index, parts) => parts.slice(0, index + 1).join("/"));
}
