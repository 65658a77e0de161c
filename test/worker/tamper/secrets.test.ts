import { describe, expect, it } from "vitest";
import { createRedact } from "../../../src/redact.ts";
import { findSecrets } from "../../../worker/tamper/secrets.ts";
import { pairsFrom } from "./support.ts";

const canary = "canary-of-the-operator-71";
const redact = createRedact([canary]);
const found = async (files: Parameters<typeof pairsFrom>[0]) => findSecrets(await pairsFrom(files), redact);
const letters = "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA".repeat(6);
const privateKey = `-----BEGIN RSA PRIVATE KEY-----\n${letters.slice(0, 64)}\n-----END RSA PRIVATE KEY-----`;

describe("findSecrets", () => {
  it.each([
    ["a token of GitHub", `ghp_${letters.slice(0, 36)}`],
    ["a token of GitHub", `github_pat_${letters.slice(0, 60)}`],
    ["a key of AWS", "AKIA2B4C6D8E0F1G3H5J"],
    ["a key of Google", `AIza${letters.slice(0, 35)}`],
    ["a token of Slack", `xoxb-209481736504-${letters.slice(0, 24)}`],
    ["a key of Stripe", `sk_live_${letters.slice(0, 24)}`],
    ["a token of npm", `npm_${letters.slice(0, 36)}`],
    ["a token of PyPI", `pypi-AgEIcHlwaS5vcmc${letters.slice(0, 80)}`],
    ["a token of GitLab", `glpat-${letters.slice(0, 20)}`],
    ["a key of OpenAI", `sk-proj-${letters.slice(0, 60)}`],
    ["a key of Anthropic", `sk-ant-api03-${letters.slice(0, 95)}`],
    ["a token of Hugging Face", `hf_${"abCDezGHij".repeat(4).slice(0, 34)}`],
    ["a key of SendGrid", `SG.${letters.slice(0, 22)}.${letters.slice(0, 43)}`],
    ["a JSON web token", `eyJ${letters.slice(0, 30)}.${letters.slice(0, 30)}.${letters.slice(0, 30)}`],
    ["a private key", privateKey],
  ])("finds %s in an added line, and shows four characters of it", async (shape, value) => {
    const findings = await found({ "src/a.ts": ["one\ntwo\n", `one\ntwo\nconst x = "${value}";\n`] });

    expect(findings).toEqual([
      {
        kind: "secret",
        path: "src/a.ts",
        detail: `line 3: ${shape} that begins with "${value.slice(0, 4)}"`,
        weight: "block",
      },
    ]);
  });

  it("finds a secret of this machine in any form, and shows nothing of it", async () => {
    const encoded = Buffer.from(`user:${canary}`).toString("base64");
    const files = {
      "a.txt": [undefined, `x\n${canary}\n`],
      "test/fixtures/b.json": ["", `{\n"x": "${encoded}"}`],
      "c.bin": [undefined, Buffer.from(`\0\n${canary}`)],
    } as const;

    expect((await found(files)).map(({ path, detail, weight }) => [path, detail, weight])).toEqual([
      ["a.txt", "line 2: a secret of this machine", "block"],
      ["c.bin", "line 2: a secret of this machine", "block"],
      ["test/fixtures/b.json", "line 2: a secret of this machine", "block"],
    ]);
  });

  it("leaves what was there before, also on a line that changed", async () => {
    const token = `ghp_${letters.slice(0, 36)}`;
    const files = {
      "a.ts": [`a = "${token}"`, `b = "${token}"`],
      "b.ts": [privateKey, `x\n${privateKey}`],
      "c.ts": [`x ${canary}`, `y ${canary}`],
      "d.ts": [`a = "${token}"`, undefined],
    } as const;

    expect(await found(files)).toEqual([]);
  });

  it("leaves what stood in another file of the change", async () => {
    const line = `x = "ghp_${letters.slice(0, 36)}"`;

    expect(await found({ "a.ts": [line, undefined], "b.ts": [undefined, `${line}\nmore`] })).toEqual([]);
  });

  it("finds one among many that are made up", async () => {
    const madeUp = Array.from({ length: 50 }, (_one, at) => `ghp_${letters.slice(0, 30)}${at}EXAMPLE`);

    expect(await found({ "a.ts": ["", [...madeUp, `ghp_${letters.slice(0, 36)}`].join("\n")] })).toHaveLength(1);
  });

  it("names a secret once, however often it is added", async () => {
    const line = `x = "ghp_${letters.slice(0, 36)}"`;

    expect(await found({ "a.ts": ["", `${line};\n${line}\n`], "b.ts": ["", line] })).toHaveLength(1);
  });

  it.each([
    'token = "ghs_0123456789abcdefghij"',
    'apiKey: "AKIAIOSFODNN7EXAMPLE"',
    `token = "ghp_${"x".repeat(36)}"`,
    'if (text.startsWith("-----BEGIN PRIVATE KEY-----") && text.endsWith("-----END PRIVATE KEY-----"))',
    'password = "${process.env.DATABASE_PASSWORD1}"',
    'const secret = "changeme-changeme-1234";',
    'const token = "a plain sentence, number 5";',
    "tokenizer = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaa1'",
  ])("takes no placeholder for a secret: %s", async (line) => {
    expect(await found({ "a.ts": ["", line] })).toEqual([]);
  });

  it.each([
    'const apiKey = "f3A9x0Lq7Zt2Vb8Nw5Rk";',
    '"client_secret": "f3A9x0Lq7Zt2Vb8Nw5Rk",',
    "DB_PASSWORD := 'f3A9x0Lq7Zt2Vb8Nw5Rk'",
  ])("only mentions what looks like a secret: %s", async (line) => {
    expect(await found({ "a.ts": ["x", `x\n${line}`] })).toEqual([
      {
        kind: "possible-secret",
        path: "a.ts",
        detail: 'line 2: what looks like a secret that begins with "f3A9"',
        weight: "advise",
      },
    ]);
  });

  it("leaves the hashes of a lock file alone, and not a token in it", async () => {
    const lock = `"token": "f3A9x0Lq7Zt2Vb8Nw5Rk",\n"x": "npm_${letters.slice(0, 36)}"`;

    expect((await found({ "package-lock.json": ["", lock] })).map(({ kind }) => kind)).toEqual(["secret"]);
  });
});
