import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { generateKeyPairSync } from "node:crypto";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { credentialsFile, githubAddresses, readConfig, requireApp } from "../../src/config.ts";
import { ConfigError } from "../../src/errors.ts";

const dataDir = mkdtempSync(join(tmpdir(), "agent-fix-test-"));
afterAll(() => rmSync(dataDir, { recursive: true }));
const { privateKey, publicKey } = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  privateKeyEncoding: { type: "pkcs1", format: "pem" },
  publicKeyEncoding: { type: "spki", format: "pem" },
});
const app = {
  DATA_DIR: dataDir,
  APP_ID: "12",
  PRIVATE_KEY: privateKey,
  WEBHOOK_SECRET: "0123456789abcdef0123456789abcdef",
};

const everything = {
  GITHUB_TOKEN: "ghp_token",
  GHE_HOST: "ghe.example.com:8080",
  GHE_PROTOCOL: "http",
  WEBHOOK_PROXY_URL: "https://smee.io/abc",
  HOST: "0.0.0.0",
  PORT: "0",
  LOG_LEVEL: "debug",
  REDIS_URL: "unix:///run/redis.sock",
  MODEL_BASE_URL: "https://gpu:8000/v1",
  MODEL_NAME: "qwen",
  MODEL_API_KEY: "model-key",
  MODEL_CONTEXT: "262144",
  MODEL_PRIORITY: "-1",
  SANDBOX_IMAGE: "node:24",
  SANDBOX_RUNTIME: "runsc",
  SANDBOX_TRUSTED_HOSTS: "npm.example.com, pip.example.com",
  DOCKER_HOST: "unix:///run/docker.sock",
  SSL_CERT_FILE: "/etc/ca.pem",
  WORKER_CONCURRENCY: "3",
  HTTPS_PROXY: "http://proxy.example.com:3128",
  NO_PROXY: "localhost",
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
    ["PORT", "65536", "a number from 0 to 65535"],
    ["GHE_PROTOCOL", "ftp", "http or https"],
    ["WEBHOOK_PROXY_URL", "smee", "a smee.io channel's address"],
    ["HTTPS_PROXY", "proxy:3128", "an address such as http://proxy"],
    ["MODEL_BASE_URL", "file:///etc/passwd", "an address such as"],
    ["REDIS_URL", "http://localhost:6379", "redis://HOST:PORT, rediss://HOST:PORT or unix:///PATH"],
    ["WORKER_CONCURRENCY", "1.5", "how many runs at once"],
    ["APP_ID", "-1", "the number on the app's"],
    ["MODEL_BASE_URL", "localhost:8000", "an address such as"],
    ["REDIS_URL", "localhost", "redis://HOST:PORT"],
    ["LOG_LEVEL", "loud", "trace, debug"],
    ["WORKER_CONCURRENCY", "0", "how many runs at once, at least 1"],
    ["APP_ID", "my-app", "the number on the app's"],
    ["GHE_HOST", "https://github.example.com/", "a host name without protocol"],
    ["MODEL_PRIORITY", "high", "a whole number, such as 0; the lowest go first"],
    ["MODEL_CONTEXT", "100", "the server's context size in tokens, at least 8192"],
  ])("names the variable, the value and the remedy when %s is %j", (name, value, remedy) => {
    const read = () => readConfig({}, { ...app, [name]: value });

    expect(read).toThrow(ConfigError);
    expect(read).toThrow(`${name} is ${JSON.stringify(value)}. Expected: ${remedy}`);
  });

  it("names everything that is wrong at once", () => {
    const read = () => readConfig({}, { ...app, PORT: "http", LOG_LEVEL: "loud" });

    expect(read).toThrow(/PORT is "http".*\nLOG_LEVEL is "loud"/);
  });

  it.each([undefined, "", "development", "short", "a".repeat(64), "0123456789abcdef0123456789abcde"])(
    "refuses to start with the webhook secret %j",
    (secret) => {
      const read = () => readConfig({}, { ...app, WEBHOOK_SECRET: secret });

      expect(read).toThrow(/WEBHOOK_SECRET is (not set|too weak)/);
    },
  );

  it.each([
    ["a text", "hunter2hunter2"],
    ["half a key", privateKey.slice(0, 400)],
    ["a damaged key", privateKey.replace(/^M.{40}/m, "AAAA")],
    ["a public key", publicKey],
    [
      "a key of another kind",
      generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    ],
  ])("refuses %s as the private key, without printing it", (_what, key) => {
    const read = () => readConfig({}, { ...app, PRIVATE_KEY: key });

    expect(read).toThrow(ConfigError);
    expect(read).toThrow("PRIVATE_KEY holds no whole PEM private key");
    expect(read).not.toThrow(key.slice(0, 12));
  });

  it.each([
    ["APP_ID", "APP_ID is not set, but other credentials are"],
    ["PRIVATE_KEY", "Neither PRIVATE_KEY nor PRIVATE_KEY_PATH is set"],
    ["WEBHOOK_SECRET", "WEBHOOK_SECRET is not set"],
  ])("names %s when it alone is missing", (name, message) => {
    expect(() => readConfig({ [name]: "" }, app)).toThrow(message);
  });

  it("names a key file that is not there", () => {
    const { PRIVATE_KEY: _, ...rest } = app;

    expect(() => readConfig({}, { ...rest, PRIVATE_KEY_PATH: "/nowhere/key.pem" })).toThrow(
      'PRIVATE_KEY_PATH is "/nowhere/key.pem"',
    );
  });

  it("lets overrides win over the environment, and an empty one unset", () => {
    const environment = { DATA_DIR: dataDir, PORT: "4000", MODEL_NAME: "env" };

    const config = readConfig({ PORT: "5000", MODEL_NAME: "" }, environment);

    expect(config.http.port).toBe(5000);
    expect(config.model.name).toBeUndefined();
    expect(readConfig({}, environment).model.name).toBe("env");
  });

  it("takes what is set", () => {
    const config = readConfig({}, { ...app, ...everything });

    expect(config).toEqual({
      github: { apiUrl: "http://ghe.example.com:8080/api/v3", webUrl: "http://ghe.example.com:8080" },
      app: { id: 12, privateKey, webhookSecret: app.WEBHOOK_SECRET },
      githubToken: "ghp_token",
      http: { host: "0.0.0.0", port: 0, webhookProxyUrl: "https://smee.io/abc" },
      logLevel: "debug",
      redisUrl: "unix:///run/redis.sock",
      dataDir,
      model: {
        baseUrl: "https://gpu:8000/v1",
        name: "qwen",
        apiKey: "model-key",
        contextTokens: 262_144,
        priority: -1,
        given: true,
      },
      sandbox: {
        image: "node:24",
        runtime: "runsc",
        trustedHosts: ["npm.example.com", "pip.example.com"],
        dockerHost: "unix:///run/docker.sock",
        caBundle: "/etc/ca.pem",
      },
      proxy: { https: "http://proxy.example.com:3128", no: "localhost" },
      concurrency: 3,
      secrets: [privateKey, app.WEBHOOK_SECRET, "model-key", "ghp_token"],
    });
  });

  it.each([
    [{ XDG_STATE_HOME: "/var/state" }, "/var/state/agent-fix"],
    [{ XDG_STATE_HOME: "/var/state", DATA_DIR: "/srv/data" }, "/srv/data"],
    [{}, join(homedir(), ".local/state/agent-fix")],
    [{ DATA_DIR: "relative" }, join(process.cwd(), "relative")],
  ])("keeps its data for %j in %s", (environment, dataDir) => {
    expect(readConfig({}, environment).dataDir).toBe(dataDir);
  });

  describe("with credentials that the manifest page stored", () => {
    const storedIn = (text: string) => {
      const folder = mkdtempSync(join(dataDir, "stored-"));
      writeFileSync(credentialsFile(folder), text);
      return { DATA_DIR: folder };
    };
    const stored = { id: 77, privateKey, webhookSecret: "f".repeat(20) + app.WEBHOOK_SECRET };

    it("uses them, and keeps them secret", () => {
      const config = readConfig({}, storedIn(JSON.stringify(stored)));

      expect(requireApp(config)).toEqual(stored);
      expect(config.secrets).toEqual(expect.arrayContaining([stored.privateKey, stored.webhookSecret]));
    });

    it("prefers those of the environment", () => {
      const config = readConfig(storedIn(JSON.stringify(stored)), app);

      expect(config.app?.id).toBe(12);
    });

    it.each(["", "{", "[]", JSON.stringify({ ...stored, webhookSecret: "short" }), JSON.stringify({ id: 77 })])(
      "names the file and the remedy when it holds %j",
      (text) => {
        const environment = storedIn(text);
        const read = () => readConfig({}, environment);

        expect(read).toThrow(ConfigError);
        expect(read).toThrow(`${credentialsFile(environment.DATA_DIR)} is damaged. Delete it`);
      },
    );
  });
});

describe("githubAddresses", () => {
  it.each([
    [undefined, "https", "https://api.github.com", "https://github.com"],
    ["github.com", "https", "https://api.github.com", "https://github.com"],
    ["github.example.com", "https", "https://github.example.com/api/v3", "https://github.example.com"],
    ["git.example.com:8443", "https", "https://git.example.com:8443/api/v3", "https://git.example.com:8443"],
    ["127.0.0.1:3001", "http", "http://127.0.0.1:3001/api/v3", "http://127.0.0.1:3001"],
  ] as const)("gives for host %s over %s the addresses of that product", (host, protocol, apiUrl, webUrl) => {
    expect(githubAddresses(host, protocol)).toEqual({ apiUrl, webUrl });
  });
});

it("a password in an address is a secret too", () => {
  const { secrets } = readConfig({ REDIS_URL: "rediss://:p%40ssword-of-redis@redis.example.com:6380" }, {});

  expect(secrets).toContain("p@ssword-of-redis");
});
