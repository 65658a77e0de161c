import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, expect, it } from "vitest";
import { expectNothingLeft } from "../end-to-end/support/local.ts";
import { debianImage } from "../sandbox/images.ts";
import { image, testEngine } from "../sandbox/support.ts";
import { judgeChange } from "./support.ts";
import type { Tree } from "./support.ts";

const engine = testEngine();
afterEach(() => expectNothingLeft(engine));

let tested: string;
beforeAll(() => {
  tested = debianImage(["python3-markupsafe", "cmake", "gcc", "libc6-dev", "make"]);
}, 900_000);

/** Source packages of Debian, each at one of the patches that Debian added to it. */
const patched = [
  {
    source: "jinja2",
    patch: "0001-xmlattr-filter-disallows-keys-with-spaces.patch",
    check: "PYTHONPATH=src python3 -m pytest -q tests/test_filters.py",
    title: "xmlattr takes keys with spaces, which add attributes",
    base: { passed: 124, failed: 0 },
    bites: /test_xmlattr_key_with_spaces/,
  },
  {
    source: "python-h11",
    patch: "0001-Validate-Chunked-Encoding-chunk-footer.patch",
    check: "python3 -m pytest -q",
    title: "The footer of a chunk is not looked at",
    base: { passed: 78, failed: 0 },
    bites: /test_ChunkedReader/,
  },
  {
    source: "cjson",
    patch: "0001-allocate-memory-for-the-temporary-buffer.patch",
    prepare: ["cmake -S . -B build -DENABLE_CUSTOM_COMPILER_FLAGS=Off >/dev/null && cmake --build build >/dev/null"],
    check: "cd build && ctest",
    title: "A number longer than the temporary buffer is refused",
    base: { passed: 19, failed: 0 },
    bites: /misc_tests/,
  },
];

it.each(patched)(
  "Debian's $source with $patch: $title",
  async ({ source, patch, prepare = [], check, title, base, bites }) => {
    const trees = fetchSource(source, patch);

    const judged = await judgeChange(engine, { ...trees, prepare, check, image: tested, title });

    expect({ ...judged, bites: judged.bites.join("\n") }).toMatchObject({
      decision: "ready",
      base,
      bites: expect.stringMatching(bites),
    });
  },
);

const fetching = `set -eu
sed -n 's/^deb \\(\\[.*\\] \\)\\?\\(.*\\)/deb-src \\1\\2/p' /etc/apt/sources.list >/etc/apt/sources.list.d/sources-of-packages.list
for f in /etc/apt/sources.list.d/*.sources; do [ ! -e "$f" ] || sed -i 's/^Types: deb$/Types: deb deb-src/' "$f"; done
apt-get update -qq
cd /tmp
apt-get source -qq --download-only --only-source "$1"
mkdir tree debian
tar xf *.orig.tar.* -C tree --strip-components=1
tar xf *.debian.tar.* -C debian --strip-components=1
cd tree
for one in $(grep -v '^#' ../debian/patches/series); do
  [ "$one" != "$2" ] || cp -r . /out/base
  git apply --whitespace=nowarn ../debian/patches/"$one"
  [ "$one" != "$2" ] || { cp -r . /out/head; chown -R "$3" /out; exit 0; }
done
echo "no patch $2 in $1"; exit 1`;

/** The files before and after the patch, on top of those that Debian applies before it. */
function fetchSource(source: string, patch: string): { base: Tree; head: Tree } {
  const out = mkdtempSync(join(tmpdir(), "agent-fix-debian-"));
  try {
    const owner = `${process.getuid?.() ?? 0}`;
    const run = ["run", "--rm", "--network", "host", "--user", "0", "--volume", `${out}:/out`, image];
    execFileSync("docker", [...run, "sh", "-c", fetching, "sh", source, patch, owner], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    return { base: readTree(join(out, "base")), head: readTree(join(out, "head")) };
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

function readTree(folder: string): Tree {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
  const paths = files.map((one) => join(one.parentPath, one.name));
  return Object.fromEntries(paths.map((path) => [path.slice(folder.length + 1), readFileSync(path, "utf8")]));
}
