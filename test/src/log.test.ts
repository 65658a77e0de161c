import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { createLog } from "../../src/log.ts";
import { createRedact } from "../../src/redact.ts";

const secret = 'a"secret\\of the operator';

function lines(level: string) {
  const written: string[] = [];
  const log = createLog(level, createRedact([secret]), { write: (line) => void written.push(line) });
  return { written, log };
}

it("writes one JSON line per event", () => {
  const { written, log } = lines("info");

  log.info({ run: "r", text: "two\nlines" }, "run finished");

  expect(written).toEqual([expect.stringMatching(/^[^\n]+\n$/)]);
  expect(JSON.parse(written[0] ?? "")).toEqual({
    level: 30,
    time: expect.any(Number),
    run: "r",
    text: "two\nlines",
    msg: "run finished",
  });
});

it("leaves out what is below its level", () => {
  const { written, log } = lines("warn");

  log.info("quiet");
  log.warn("loud");

  expect(written).toHaveLength(1);
  expect(written[0]).toContain("loud");
});

it("writes no secret, in a field, an error, a message or from a child", () => {
  const { written, log } = lines("info");

  log.info({ field: secret, nested: { [secret]: secret } }, secret);
  log.error({ err: new Error(`refused ${secret}`) }, "failed");
  log.child({ bound: secret }).info("child");

  const text = written.join("");
  expect(written).toHaveLength(3);
  expect(text.match(/\[secret\]/g)?.length).toBeGreaterThanOrEqual(6);
  expect(text).not.toContain(secret);
  expect(text).not.toContain(JSON.stringify(secret).slice(1, -1));
  for (const line of written) expect(() => JSON.parse(line) as unknown).not.toThrow();
});

it("goes to stderr, which leaves stdout to results", async () => {
  const url = (file: string) => JSON.stringify(new URL(`../../src/${file}`, import.meta.url).href);
  const program = `import { createLog } from ${url("log.ts")}; createLog("info", (line) => line).info("hello");`;

  const { stdout, stderr } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program]);

  expect(stdout).toBe("");
  expect(JSON.parse(stderr)).toMatchObject({ msg: "hello" });
});
