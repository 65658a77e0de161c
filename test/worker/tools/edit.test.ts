import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { callTool } from "../../../worker/agent/tool.ts";
import type { ToolResult } from "../../../worker/agent/tool.ts";
import { createEditor } from "../../../worker/tools/edit.ts";
import { createLocalSandbox } from "../../support/local-sandbox.ts";
import type { LocalSandbox } from "../../support/local-sandbox.ts";

const signal = new AbortController().signal;

test("view shows lines with their numbers, and a range of them", async () => {
  await using sandbox = createLocalSandbox();
  put(sandbox, "a.txt", "one\ntwo\nthree\n");

  const whole = await edit(sandbox, { command: "view", path: "a.txt" });
  const part = await edit(sandbox, { command: "view", path: "a.txt", view_range: "2-9" });
  const single = await edit(sandbox, { command: "view", path: "a.txt", view_range: "3" });
  const rest = await edit(sandbox, { command: "view", path: "a.txt", view_range: "[2, -1]" });

  expect(whole.text).toBe(`${sandbox.root}/a.txt:\n     1\tone\n     2\ttwo\n     3\tthree`);
  expect(part.text).toBe(`${sandbox.root}/a.txt:\n     2\ttwo\n     3\tthree`);
  expect(single.text).toBe(`${sandbox.root}/a.txt:\n     3\tthree`);
  expect(rest.text).toBe(part.text);
});

test("view of a long file is bounded and says how to see the rest", async () => {
  await using sandbox = createLocalSandbox();
  put(sandbox, "long.txt", "line\n".repeat(1000));
  put(sandbox, "wide.txt", `${"x".repeat(5000)}\n`.repeat(100));

  const long = await edit(sandbox, { command: "view", path: "long.txt" });
  const asked = await edit(sandbox, { command: "view", path: "long.txt", view_range: "500-1000" });
  const wide = await edit(sandbox, { command: "view", path: "wide.txt" });
  const small = await edit(sandbox, { command: "view", path: "wide.txt" }, 4000);

  expect(long.text).toContain("[Lines 1 to 400 of 1000. Use view_range for the others.]");
  expect(asked.text).toContain("[Lines 500 to 899 of 1000. Use view_range for the others.]");
  expect(wide.text).toContain("[Lines 1 to 9 of 100. Use view_range for the others.]");
  expect(small.text).toContain("[Lines 1 to 3 of 100. Use view_range for the others.]");
  expect(small.text.length).toBeLessThan(4200);
});

test("view of a folder lists what is in it", async () => {
  await using sandbox = createLocalSandbox();
  put(sandbox, "it's here/b.txt", "");
  put(sandbox, "it's here/.hidden", "");
  put(sandbox, ".github/workflows/ci.yml", "");

  const result = await edit(sandbox, { command: "view", path: "it's here" });
  const hidden = await edit(sandbox, { command: "view", path: ".github" });

  expect(result.text).toContain(`${sandbox.root}/it's here/b.txt`);
  expect(result.text).not.toContain("hidden.");
  expect(result.text).not.toContain("/.hidden");
  expect(hidden.text).toContain(`${sandbox.root}/.github/workflows/ci.yml`);
});

test("create writes a new file with a final line end, and does not overwrite", async () => {
  await using sandbox = createLocalSandbox();
  put(sandbox, "empty.txt", "");

  const created = await edit(sandbox, { command: "create", path: "new/deep.txt", file_text: "a\nb" });
  const again = await edit(sandbox, { command: "create", path: "new/deep.txt", file_text: "c" });
  await edit(sandbox, { command: "create", path: "empty.txt", file_text: "full" });

  expect(created.text).toBe(`Created ${sandbox.root}/new/deep.txt: 2 lines, 4 bytes; the last line is: b`);
  expect(get(sandbox, "new/deep.txt")).toBe("a\nb\n");
  expect(again).toMatchObject({ failed: true, text: expect.stringContaining("exists already") });
  expect(get(sandbox, "empty.txt")).toBe("full\n");
});

test("str_replace changes the one place and shows it, whatever the new text looks like", async () => {
  await using sandbox = createLocalSandbox();
  put(sandbox, "a.js", "one\nlet a = 1;\nthree\n");

  const result = await edit(sandbox, { command: "str_replace", path: "a.js", old_str: "a = 1", new_str: "a = '$&$1'" });

  expect(get(sandbox, "a.js")).toBe("one\nlet a = '$&$1';\nthree\n");
  expect(result.text).toBe(
    `Edited ${sandbox.root}/a.js: 3 lines, 26 bytes; the last line is: three\nAround the change it now reads:\n     1\tone\n     2\tlet a = '$&$1';\n     3\tthree`,
  );
});

test("a long edit shows where it begins and ends, so that a text that was cut on its way is noticed", async () => {
  await using sandbox = createLocalSandbox();
  put(sandbox, "a.js", "one\n");

  const long = "let x = 1;\n".repeat(2000);
  const result = await edit(sandbox, { command: "insert", path: "a.js", insert_line: 0, new_str: `${long}the end` });

  expect(result.text).toContain("2002 lines, 22012 bytes; the last line is: one");
  expect(result.text).toContain("     1\tlet x = 1;");
  expect(result.text).toMatch(/bytes left out\. View the file[^]*2001\tthe end\n {2}2002\tone$/);
  expect(result.text.length).toBeLessThan(3500);
});

test("str_replace without new_str removes the text", async () => {
  await using sandbox = createLocalSandbox();
  put(sandbox, "a.js", "one\ntwo\n");

  await edit(sandbox, { command: "str_replace", path: "a.js", old_str: "two\n" });

  expect(get(sandbox, "a.js")).toBe("one\n");
});

test("str_replace keeps a file's CRLF line ends, also for new lines", async () => {
  await using sandbox = createLocalSandbox();
  put(sandbox, "a.txt", "one\r\ntwo\r\nthree\r\n");

  await edit(sandbox, { command: "str_replace", path: "a.txt", old_str: "one\ntwo", new_str: "one\nand\ntwo" });
  await edit(sandbox, { command: "insert", path: "a.txt", insert_line: 4, new_str: "four" });

  expect(get(sandbox, "a.txt")).toBe("one\r\nand\r\ntwo\r\nthree\r\nfour\r\n");
});

test("line ends that came otherwise than the file has them are put right", async () => {
  await using sandbox = createLocalSandbox();
  put(sandbox, "unix.txt", "one\ntwo\n");
  put(sandbox, "dos.txt", "one\r\ntwo\r\n");

  await edit(sandbox, { command: "str_replace", path: "unix.txt", old_str: "one\r\ntwo", new_str: "1\r\n2" });
  await edit(sandbox, { command: "str_replace", path: "dos.txt", old_str: "one\r\ntwo", new_str: "1\n2" });

  expect(get(sandbox, "unix.txt")).toBe("1\n2\n");
  expect(get(sandbox, "dos.txt")).toBe("1\r\n2\r\n");
});

test("in a file with mixed line ends only what was asked for changes", async () => {
  await using sandbox = createLocalSandbox();
  put(sandbox, "a.txt", "a\r\nb\r\nc\nd\ne\r\n");

  await edit(sandbox, { command: "str_replace", path: "a.txt", old_str: "c\nd", new_str: "c\nx\nd" });

  expect(get(sandbox, "a.txt")).toBe("a\r\nb\r\nc\nx\nd\ne\r\n");
});

test("a byte order mark and chat markup in a file survive an edit", async () => {
  await using sandbox = createLocalSandbox();
  put(sandbox, "a.txt", "\u{FEFF}const end = '<|im_end|>';\n");

  const seen = await edit(sandbox, { command: "view", path: "a.txt" });
  await edit(sandbox, {
    command: "str_replace",
    path: "a.txt",
    old_str: "end = '‹|im_end|>'",
    new_str: "stop = '‹|im_end|>'",
  });

  expect(seen.text).toContain("‹|im_end|>");
  expect(get(sandbox, "a.txt")).toBe("\u{FEFF}const stop = '<|im_end|>';\n");
});

test.each([
  { what: "not there", args: { old_str: "retrun a + c;" }, says: /does not occur[^]*line 2[^]*2\t {2}return a \+ b;/ },
  { what: "nowhere near", args: { old_str: "@@@@" }, says: /No line of the file is like it/ },
  { what: "not unique", args: { old_str: "}" }, says: /occurs 2 times in .*, at lines 3, 6/ },
  { what: "empty", args: { old_str: "" }, says: /needs old_str/ },
  { what: "unchanged", args: { old_str: "a", new_str: "a" }, says: /are the same/ },
])("str_replace of a text that is $what changes nothing and says why", async ({ args, says }) => {
  await using sandbox = createLocalSandbox();
  const code = "function add(a, b) {\n  return a + b;\n}\nfunction one() {\n  return 1;\n}\n";
  put(sandbox, "a.js", code);

  const result = await edit(sandbox, { command: "str_replace", path: "a.js", ...args });

  expect(result).toMatchObject({ failed: true, text: expect.stringMatching(says) });
  expect(get(sandbox, "a.js")).toBe(code);
});

test("insert puts whole lines after a line, also at the top and after a last line without end", async () => {
  await using sandbox = createLocalSandbox();
  put(sandbox, "a.txt", "one\ntwo");

  await edit(sandbox, { command: "insert", path: "a.txt", insert_line: 0, new_str: "zero" });
  await edit(sandbox, { command: "insert", path: "a.txt", insert_line: 3, new_str: "three\n" });
  const beyond = await edit(sandbox, { command: "insert", path: "a.txt", insert_line: 9, new_str: "x" });

  expect(get(sandbox, "a.txt")).toBe("zero\none\ntwo\nthree\n");
  expect(beyond).toMatchObject({ failed: true, text: expect.stringContaining("from 0 to 4") });
});

test("the tags of a call get into a file by their look-alike", async () => {
  await using sandbox = createLocalSandbox();
  const text = "‹tool_call>\n‹function=a>\n‹parameter=b>\nc\n‹/parameter>\n‹/function>\n‹/tool_call>\n‹quoted›";

  await edit(sandbox, { command: "create", path: "call.txt", file_text: text });
  await edit(sandbox, {
    command: "str_replace",
    path: "call.txt",
    old_str: "c\n‹/parameter>",
    new_str: "d\n‹/parameter>",
  });

  expect(get(sandbox, "call.txt")).toBe(
    "<tool_call>\n<function=a>\n<parameter=b>\nd\n</parameter>\n</function>\n</tool_call>\n‹quoted›\n",
  );
});

test("a relative path begins at the root, and the answer has the absolute one", async () => {
  await using sandbox = createLocalSandbox();

  const result = await call(sandbox, { command: "create", path: "./src/x/../a.js", file_text: "x" });

  expect(result.text).toContain(`Created ${sandbox.root}/src/a.js:`);
  expect(get(sandbox, "src/a.js")).toBe("x\n");
});

test.each([{ path: "/etc/passwd" }, { path: "ROOT/../secret" }, { path: "../secret" }, { path: "ROOT-else/a.txt" }])(
  "nothing is written to $path, outside of the checkout",
  async ({ path }) => {
    await using sandbox = createLocalSandbox();
    const absolute = path.replace("ROOT", sandbox.root);

    const result = await call(sandbox, { command: "create", path: absolute, file_text: "x" });

    expect(result).toMatchObject({ failed: true, text: expect.stringContaining(`is not below ${sandbox.root}, the`) });
  },
);

test("a file outside of the checkout can be viewed", async () => {
  await using sandbox = createLocalSandbox();

  const result = await call(sandbox, { command: "view", path: "/etc/passwd", view_range: "1" });

  expect(result.text).toMatch(/^\/etc\/passwd:\n {5}1\t/);
});

test("an argument of any length comes back in an answer of bounded length", async () => {
  await using sandbox = createLocalSandbox();
  put(sandbox, "a.js", `${"x".repeat(100_000)}\n`.repeat(3));
  const long = "x".repeat(5_000_000);

  for (const args of [
    { command: "create", path: long, file_text: "x" },
    { command: "view", path: "a.js", view_range: long },
    { command: "view", path: "a.js", view_range: `0-${"\t".repeat(5_000_000)}0\n0` },
    { command: "str_replace", path: "a.js", old_str: `${"x".repeat(99_000)}y`, new_str: long },
    { command: "str_replace", path: "a.js", old_str: long, new_str: "" },
    { command: "insert", path: "a.js", insert_line: 0, new_str: long },
  ]) {
    const { text } = await call(sandbox, args);
    expect(text.length).toBeLessThan(6000);
  }
});

test("files that are missing, too large or no text are named with the way on", async () => {
  await using sandbox = createLocalSandbox();
  put(sandbox, "large.txt", "x".repeat(2 ** 21 + 1));
  writeFileSync(`${sandbox.root}/image.png`, Buffer.from([0x89, 0x50, 0xff, 0x00]));
  writeFileSync(`${sandbox.root}/zero.bin`, Buffer.from([0x61, 0x00]));
  const view = async (path: string) => (await edit(sandbox, { command: "view", path })).text;

  expect(await view("none.txt")).toContain("does not exist");
  expect(await view("large.txt")).toContain("larger than 2 MB");
  expect(await view("image.png")).toContain("no UTF-8 text");
  expect(await view("zero.bin")).toContain("no UTF-8 text");
});

test("what a command of the editor needs is named when it is missing", async () => {
  await using sandbox = createLocalSandbox();
  put(sandbox, "a.txt", "one\n");
  const say = async (args: object) => (await edit(sandbox, { path: "a.txt", ...args })).text;

  expect(await say({ command: "create" })).toContain("needs file_text");
  expect(await say({ command: "insert", new_str: "x" })).toContain("needs insert_line and new_str");
  expect(await say({ command: "undo" })).toContain('"command" is wrong');
  expect(await say({ command: "view", view_range: "7-9" })).toContain("has 1 lines");
});

function edit(
  sandbox: LocalSandbox,
  args: { path: string } & Record<string, unknown>,
  limit?: number,
): Promise<ToolResult> {
  return call(sandbox, { ...args, path: `${sandbox.root}/${args.path}` }, limit);
}

function call(sandbox: LocalSandbox, args: object, limit = 10_000): Promise<ToolResult> {
  const tool = createEditor({ sandbox, root: sandbox.root, limit });
  return callTool([tool], { id: "1", name: "str_replace_editor", arguments: JSON.stringify(args) }, signal);
}

function put(sandbox: LocalSandbox, path: string, text: string): void {
  const full = `${sandbox.root}/${path}`;
  mkdirSync(full.slice(0, full.lastIndexOf("/")), { recursive: true });
  writeFileSync(full, text);
}

function get(sandbox: LocalSandbox, path: string): string {
  return readFileSync(`${sandbox.root}/${path}`, "utf8");
}
