import { expect, test } from "vitest";
import type { Script } from "../../src/demo/model/script.ts";
import { addProject, fileLabelled, finalStatus, pullsOf, startTestLaptop } from "./support/laptop.ts";

const bash = (command: string) => ({ id: command, say: "", calls: [{ name: "bash", arguments: { command } }] });
const submit = (id: string) => ({
  id,
  say: "",
  calls: [{ name: "submit", arguments: { title: "Say b", cause: "It said a.", change: "Says b." } }],
});
const script: Script = {
  name: "monorepo",
  when: "Task: resolve an issue[^]*Say b in b",
  holes: {},
  steps: [
    bash("echo b >packages/b/word.txt"),
    bash("echo 'grep -qx b ../word.txt' >packages/b/test/word.test.sh"),
    submit("one"),
    submit("two"),
  ],
};
const check = (name: string, paths: string) =>
  `  - {name: ${name}, run: "cd packages/${name} && for t in test/*.test.sh; do (cd test && sh ../$t) || exit 1; done", paths: [${paths}]}\n`;

test("in a repository of many packages the check of the one that changed runs first, and the pull request says what ran", async () => {
  await using laptop = await startTestLaptop({ scripts: [script] });
  const where = await addProject(laptop, "monorepo", {
    ".github/agent-fix.yml": `checks:\n${check("a", "packages/a")}  - {name: whole, run: ls packages}\n${check("b", "packages/b")}`,
    "packages/a/word.txt": "a\n",
    "packages/a/test/word.test.sh": "grep -qx a ../word.txt\n",
    "packages/b/word.txt": "a\n",
    "packages/b/test/there.test.sh": "[ -e ../word.txt ]\n",
  });
  const number = await fileLabelled(laptop, where, { title: "Say b in b" });

  const { marker } = await finalStatus(laptop, where, number);
  const [pull] = await pullsOf(laptop, where);

  expect(marker.state).toBe("opened");
  const rows = (pull?.body ?? "").split("\n").filter((line) => line.startsWith("| `"));
  expect(rows.map((row) => /packages\/?(\w?)/.exec(row)?.[1])).toEqual(["b", "", "a"]);
}, 180_000);
