// A process that dies in the middle of its work with a sandbox: node dying-client.ts INSTANCE command|frame TEXT
import { once } from "node:events";
import Docker from "dockerode";
import { createEngine } from "../../sandbox/engine.ts";
import { image, specOf } from "./support.ts";

const [, , instance = "", mode, text = ""] = process.argv;
const engine = createEngine({ instance, image });
const sandbox = await engine.startSandbox(specOf());
console.log(sandbox.id);
if (mode === "command") await sandbox.exec(text, { cwd: "/tmp", timeoutMs: 600_000, step: 7 });
if (mode === "frame") {
  const options = { stream: true, hijack: true, stdin: true, stdout: true, stderr: true };
  const stream = await new Docker().getContainer(sandbox.id).attach(options);
  stream.write(text, () => console.log("written"));
  await once(stream, "close");
}
