import { execFile } from "node:child_process";
import { createReadStream } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { createGunzip } from "node:zlib";
import { extract } from "tar-stream";
import { OutageError, messageOf } from "../../errors.ts";
import type { PackedFile } from "../github/seed.ts";

const fetchLimitMs = 60_000;
const mostBytes = 20 * 1024 * 1024;

/** The files of a published package by path, read from its archive without unpacking it to disk. */
export async function fetchPackage(name: string, version: string): Promise<Record<string, PackedFile>> {
  const dir = await mkdtemp(join(tmpdir(), "agent-fix-case-"));
  try {
    const args = ["pack", "--silent", "--ignore-scripts", "--pack-destination", dir, `${name}@${version}`];
    await promisify(execFile)("npm", args, { cwd: dir, timeout: fetchLimitMs }).catch((cause: unknown) => {
      throw new OutageError(
        `npm could not fetch ${name}@${version}: ${messageOf(cause)}. The case needs a registry that npm reaches.`,
        { cause },
      );
    });
    const archive = (await readdir(dir)).find((file) => file.endsWith(".tgz"));
    if (archive === undefined) throw new OutageError(`npm fetched no archive of ${name}@${version}`);
    return await readArchive(join(dir, archive));
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function readArchive(path: string): Promise<Record<string, PackedFile>> {
  const files: Record<string, PackedFile> = {};
  const archive = extract();
  let total = 0;
  const reading = (async () => {
    for await (const entry of archive) {
      const chunks: Buffer[] = [];
      for await (const chunk of entry as AsyncIterable<Buffer>) {
        total += chunk.length;
        if (total > mostBytes) throw new OutageError(`${path} unpacks to more than ${mostBytes} bytes`);
        chunks.push(chunk);
      }
      const { type, name, mode } = entry.header;
      if (type !== "file") continue;
      files[name.replace(/^package\//, "")] = { bytes: Buffer.concat(chunks), executable: (mode & 0o100) !== 0 };
    }
  })();
  await Promise.all([pipeline(createReadStream(path), createGunzip(), archive), reading]);
  return files;
}
