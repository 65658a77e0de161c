import { createEngine } from "../../../sandbox/engine.ts";
import { image } from "../../sandbox/support.ts";
import { changesOf, commitOf, createStage, legOf } from "./local.ts";

// A process whose temporary folder the engine can't see: what it does there, and what it leaves, is told on stdout.
const engine = createEngine({ instance: process.argv[2] ?? "", image });
const told = {
  folders: await engine.folders(),
  trees: await engine.trees(),
  doubled: "",
  base: "",
  head: "",
  changed: [] as string[],
};
{
  await using stage = await createStage(
    engine,
    {
      "package.json": '{"scripts":{"test":"node --test"}}\n',
      "double.js": "exports.double = (n) => n + n + 1;\n",
      "double.test.js":
        'require("node:test").test("doubles", () => require("node:assert").equal(require("./double.js").double(2), 4));\n',
    },
    "mkdir node_modules && echo kept >node_modules/kept",
  );
  const { commit, tried } = await commitOf(
    stage,
    "sed -i 's/ + 1//' double.js",
    "git log --oneline | wc -l; cat node_modules/kept; node -p 'require(\"./double.js\").double(4)'",
  );
  told.doubled = tried?.output.text ?? "";
  const { changes } = await changesOf(stage, "rm double.js");
  told.changed = changes.kind === "changes" ? changes.changes.map(({ path, mode }) => `${mode} ${path}`) : [];
  const [base] = await legOf(stage, stage.base, ["npm test"]);
  const [head] = await legOf(stage, commit, ["npm test"]);
  told.base = base?.end ?? "";
  told.head = head?.end ?? "";
}
process.stdout.write(JSON.stringify({ ...told, left: await engine.list() }));
for (const { volume } of await engine.listKept()) await engine.removeVolume(volume);
