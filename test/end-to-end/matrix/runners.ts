/** One test: what a call of the library comes to. */
export interface Case {
  name: string;
  call: "sum" | "product";
  of: [number, number];
  is: number;
  skipped?: true;
  /** Instead of the call. */
  does?: "nothing" | "hang" | "flood" | "chance";
}

/** A library of two functions with its tests, as one runner knows it. */
export interface Runner {
  check: string;
  /** Packages of the npm registry, or of Debian, that it takes. */
  packages?: Record<string, string>;
  debian?: string[];
  setup?: string;
  prepare?: string[];
  files: Record<string, string>;
  library: string;
  /** The two operators; `broken`: it can't be read or compiled. */
  source(sum: "+" | "-", product: "*" | "/", broken?: boolean): string;
  testPath(name: string): string;
  tests(cases: readonly Case[]): string;
  /** A file that says which packages are installed. */
  lock: { path: string; text: string };
}

const js = { hang: "for (;;) {}", nothing: "" };
const jsFlood = (fs: string) => `for (;;) try { ${fs}.writeSync(1, "noise\\n".repeat(9999)); } catch {}`;
const lock = (version: string) => ({
  path: "package-lock.json",
  text: `${JSON.stringify({ name: "calc", lockfileVersion: 3, packages: { "": { name: "calc", version } } }, null, 2)}\n`,
});

function commonJs(
  head: string,
  { one, equal }: { one: (c: Case, body: string) => string; equal: (call: string, is: number) => string },
) {
  const body = ({ call, of: [a, b], is, does }: Case) => {
    if (does === "flood") return jsFlood('require("node:fs")');
    if (does === "chance") return equal("Math.floor(Math.random() * 2)", 1);
    return does === undefined ? equal(`${call}(${a}, ${b})`, is) : js[does];
  };
  return {
    library: "calc.js",
    source: (sum: string, product: string, broken?: boolean) =>
      `exports.sum = (a, b) => a ${sum} b;\nexports.product = (a, b) => a ${product} b;\n${broken === true ? "}\n" : ""}`,
    testPath: (name: string) => `test/${name}.test.js`,
    tests: (cases: readonly Case[]) =>
      `${head}\nconst { sum, product } = require("../calc.js");\n${cases.map((c) => one(c, body(c))).join("\n")}\n`,
    lock: lock("1.0.1"),
  };
}
const manifest = (test: string, more: object = {}) => ({
  ".gitignore": "node_modules\n",
  "package.json": `${JSON.stringify({ name: "calc", version: "1.0.0", scripts: { test }, ...more }, null, 2)}\n`,
  "package-lock.json": lock("1.0.0").text,
});
const block = ({ name, skipped }: Case, body: string) => `test${skipped ? ".skip" : ""}("${name}", () => { ${body} });`;
const assert = 'const assert = require("node:assert");';
const asserted = (call: string, is: number) => `assert.equal(${call}, ${is});`;
const expected = (call: string, is: number) => `expect(${call}).toBe(${is});`;

const shellCase = ({ call, of: [a, b], is, skipped, does }: Case): string => {
  if (skipped) return "exit 77";
  if (does === "hang") return "sleep 600";
  if (does === "flood") return "yes noise";
  if (does === "chance") return "[ $(($(od -An -N1 -tu1 /dev/urandom) % 2)) = 0 ] || exit 1";
  return does === "nothing" ? "exit 0" : `[ "$(sh calc.sh ${call} ${a} ${b})" = ${is} ] || exit 1`;
};
const shell = {
  library: "calc.sh",
  source: (sum: string, product: string, broken?: boolean) =>
    `${broken === true ? "if\n" : ""}case $1 in\nsum) echo $(($2 ${sum} $3)) ;;\nproduct) echo $(($2 ${product} $3)) ;;\nesac\n`,
  testPath: (name: string) => `test/test_${name}.sh`,
  tests: (cases: readonly Case[]) => `${cases.map(shellCase).join("\n")}\n`,
  lock: { path: "requirements.txt", text: "calc==1.0.1\n" },
};

export const runners: Record<string, Runner> = {
  "node:test": {
    check: "npm test",
    files: manifest("node --test test/*.test.js"),
    ...commonJs(`const { test } = require("node:test");\n${assert}`, { one: block, equal: asserted }),
  },
  vitest: {
    check: "npm test",
    packages: { vitest: "3.2.4" },
    files: manifest("vitest run", { type: "module" }),
    library: "calc.js",
    source: (sum, product, broken) =>
      `export const sum = (a, b) => a ${sum} b;\nexport const product = (a, b) => a ${product} b;\n${broken ? "}\n" : ""}`,
    testPath: (name) => `test/${name}.test.js`,
    tests: (cases) => {
      const bodyOf = ({ call, of: [a, b], is, does }: Case) => {
        if (does === "flood") return jsFlood("fs");
        if (does === "chance") return expected("Math.floor(Math.random() * 2)", 1);
        return does === undefined ? expected(`${call}(${a}, ${b})`, is) : js[does];
      };
      const imports =
        'import fs from "node:fs";\nimport { expect, test } from "vitest";\nimport { product, sum } from "../calc.js";';
      return `${imports}\n${cases.map((c) => block(c, bodyOf(c))).join("\n")}\n`;
    },
    lock: lock("1.0.1"),
  },
  jest: {
    check: "npm test",
    packages: { jest: "30.5.2" },
    files: manifest("jest"),
    ...commonJs("", { one: block, equal: expected }),
  },
  mocha: {
    check: "npm test",
    packages: { mocha: "11.7.5" },
    files: manifest("mocha test"),
    ...commonJs(assert, {
      one: ({ name, skipped }, body) => `it${skipped ? ".skip" : ""}("${name}", () => { ${body} });`,
      equal: asserted,
    }),
  },
  tape: {
    check: "npm test",
    packages: { tape: "5.10.2" },
    files: manifest("tape test/*.test.js"),
    ...commonJs('const test = require("tape");', {
      one: ({ name, skipped }, body) => `test${skipped ? ".skip" : ""}("${name}", (t) => { ${body} t.end(); });`,
      equal: (call, is) => `t.equal(${call}, ${is});`,
    }),
  },
  pytest: {
    check: "python3 -m pytest -q",
    files: { ".gitignore": "__pycache__\n", "requirements.txt": "pytest\n", "conftest.py": "" },
    library: "calc.py",
    source: (sum, product, broken) =>
      `def sum(a, b):\n    return a ${sum} b\n\n\ndef product(a, b):\n    return a ${product} b\n${broken ? "def\n" : ""}`,
    testPath: (name) => `tests/test_${name}.py`,
    tests: (cases) => {
      const bodyOf = ({ call, of: [a, b], is, does }: Case) => {
        if (does === "hang") return "while True: pass";
        if (does === "flood") return 'while True: print("noise" * 9999)';
        if (does === "chance") return "assert random.random() < 0.5";
        return does === "nothing" ? "pass" : `assert calc.${call}(${a}, ${b}) == ${is}`;
      };
      const one = (c: Case) =>
        `\n\n${c.skipped ? '@pytest.mark.skip(reason="later")\n' : ""}def test_${c.name.replaceAll(" ", "_")}():\n    ${bodyOf(c)}\n`;
      return `import random\n\nimport pytest\n\nimport calc\n${cases.map(one).join("")}`;
    },
    lock: { path: "requirements.txt", text: "pytest\nattrs\n" },
  },
  go: {
    check: "go test ./...",
    debian: ["golang-go", "cmake"],
    // What it has built of Go's own library would otherwise be built for every check.
    setup: "go test ./... >/dev/null || true",
    files: { "go.mod": "module example.com/calc\n\ngo 1.19\n" },
    library: "calc.go",
    source: (sum, product, broken) =>
      `package calc\n\nfunc Sum(a, b int) int { return a ${sum} b }\n\nfunc Product(a, b int) int { return a ${product} b }\n${broken ? "func {\n" : ""}`,
    testPath: (name) => `${name}_test.go`,
    tests: (cases) => {
      const bodyOf = ({ call, of: [a, b], is, does }: Case) => {
        if (does === "hang") return "for { time.Sleep(time.Second) }";
        if (does === "flood") return 'for { os.Stdout.WriteString("noise\\n") }';
        if (does === "chance") return 'if time.Now().Nanosecond() / 1000 % 2 == 0 { t.Fatal("by chance") }';
        const name = call === "sum" ? "Sum" : "Product";
        return does === "nothing" ? "" : `if got := ${name}(${a}, ${b}); got != ${is} { t.Fatal(got) }`;
      };
      const nameOf = ({ name }: Case) =>
        name.replaceAll(/(?:^| )(\w)/g, (_all, letter: string) => letter.toUpperCase());
      const one = (c: Case) =>
        `func Test${nameOf(c)}(t *testing.T) {\n\t${c.skipped ? 't.Skip("later")\n\t' : ""}${bodyOf(c)}\n}\n`;
      return `package calc\n\nimport (\n\t"os"\n\t"testing"\n\t"time"\n)\n\nvar _, _ = os.Stdout, time.Second\n\n${cases.map(one).join("\n")}`;
    },
    lock: { path: "go.sum", text: "example.com/other v1.0.0/go.mod h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n" },
  },
  ctest: {
    check: "cd build && ctest",
    debian: ["golang-go", "cmake"],
    prepare: ["cmake -S . -B build >/dev/null"],
    files: {
      ".gitignore": "build\n",
      "requirements.txt": "calc==1.0.0\n",
      "CMakeLists.txt": `cmake_minimum_required(VERSION 3.20)
project(calc NONE)
enable_testing()
file(GLOB tests RELATIVE \${CMAKE_SOURCE_DIR} test/test_*.sh)
foreach(one \${tests})
  add_test(NAME \${one} COMMAND sh \${one} WORKING_DIRECTORY \${CMAKE_SOURCE_DIR})
  set_tests_properties(\${one} PROPERTIES SKIP_RETURN_CODE 77)
endforeach()
`,
    },
    ...shell,
  },
  make: {
    check: "make check",
    debian: ["golang-go", "cmake"],
    files: {
      "requirements.txt": "calc==1.0.0\n",
      Makefile:
        "check:\n\t@for one in test/test_*.sh; do sh $$one; code=$$?; [ $$code = 0 ] || [ $$code = 77 ] || exit 1; done\n",
    },
    ...shell,
  },
};
