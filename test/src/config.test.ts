import { mkdtempSync, writeFileSync } from "node:fs";
import { generateKeyPairSync } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { githubAddresses, readConfig, requireApp } from "../../src/config.ts";

const dataDir = mkdtempSync(join(tmpdir(), "agent-fix-test-"));
const privateKey = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  privateKeyEncoding: { type: "pkcs1", format: "pem" },
  publicKeyEncoding: { type: "spki", format: "pem" },
}).privateKey;
const app = {
  DATA_DIR: dataDir,
  APP_ID: "12",
  PRIVATE_KEY: privateKey,
  WEBHOOK_SECRET: "0123456789abcdef0123456789abcdef",
};

describe("readConfig", () => {
  it("has a default for everything but the app", () => {
    const config = readConfig({}, { DATA_DIR: dataDir });

    expect(config).toMatchObject({
      app: undefined,
      dataDir,
      model: { baseUrl: "http://localhost:8000/v1", apiKey: "EMPTY" },
      http: { host: "127.0.0.1", port: 3000 },
    });
    expect(() => requireApp(config)).toThrow(/agent-fix up/);
  });

  it("takes a private key with escaped newlines, in base64, and from a file", () => {
    const file = join(dataDir, "key.pem");
    writeFileSync(file, privateKey);
    const { PRIVATE_KEY: _, ...rest } = app;

    const keys = [
      readConfig({}, { ...app, PRIVATE_KEY: privateKey.replaceAll("\n", String.raw`\n`) }),
      readConfig({}, { ...app, PRIVATE_KEY: Buffer.from(privateKey).toString("base64") }),
      readConfig({}, { ...rest, PRIVATE_KEY_PATH: file }),
    ].map((config) => config.app?.privateKey);

    expect(new Set(keys)).toEqual(new Set([privateKey]));
  });

  it.each([
    ["PORT", "http", "a number from 0"],
    ["MODEL_BASE_URL", "localhost:8000", "an address such as"],
    ["REDIS_URL", "localhost", "redis://HOST:PORT"],
    ["LOG_LEVEL", "loud", "trace, debug"],
    ["WORKER_CONCURRENCY", "0", "at least 1"],
    ["APP_ID", "my-app", "the number on the app's"],
    ["GHE_HOST", "https://github.example.com/", "a host name without protocol"],
    ["MODEL_CONTEXT", "100", "at least 8192"],
  ])("names the variable, the value and the remedy when %s is %j", (name, value, remedy) => {
    const read = () => readConfig({}, { ...app, [name]: value });

    expect(read).toThrow(name);
    expect(read).toThrow(JSON.stringify(value));
    expect(read).toThrow(remedy);
  });

  it.each([undefined, "development", "short", "a".repeat(64)])(
    "refuses to start with the webhook secret %j",
    (secret) => {
      const read = () => readConfig({}, { ...app, WEBHOOK_SECRET: secret });

      expect(read).toThrow(/WEBHOOK_SECRET is (not set|too weak)/);
    },
  );

  it("refuses a private key that is none, without printing it", () => {
    const read = () => readConfig({}, { ...app, PRIVATE_KEY: "hunter2hunter2" });

    expect(read).toThrow("PRIVATE_KEY holds no PEM private key");
    expect(read).not.toThrow(/hunter2/);
  });

  it("names a key file that is not there", () => {
    const { PRIVATE_KEY: _, ...rest } = app;

    expect(() => readConfig({}, { ...rest, PRIVATE_KEY_PATH: "/nowhere/key.pem" })).toThrow(
      'PRIVATE_KEY_PATH is "/nowhere/key.pem"',
    );
  });
});

describe("githubAddresses", () => {
  it.each([
    [undefined, "https", "https://api.github.com", "https://github.com"],
    ["github.com", "https", "https://api.github.com", "https://github.com"],
    ["github.example.com", "https", "https://github.example.com/api/v3", "https://github.example.com"],
    ["127.0.0.1:3001", "http", "http://127.0.0.1:3001/api/v3", "http://127.0.0.1:3001"],
  ] as const)("gives for host %s over %s the addresses of that product", (host, protocol, apiUrl, webUrl) => {
    expect(githubAddresses(host, protocol)).toEqual({ apiUrl, webUrl });
  });
});
