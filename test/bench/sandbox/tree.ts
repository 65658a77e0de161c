import { repoDir } from "../../../sandbox/workspace.ts";
import { type Bench, time } from "../harness.ts";
import { image, run } from "../support.ts";
import { openPlace } from "./place.ts";

/** From a picked job to the first command in a large work tree, beside what is usually done. */
export async function tree(stack: AsyncDisposableStack): Promise<Bench[]> {
  const place = await openPlace(stack);
  const { folder, upstream } = place;
  // The first run fetches everything and sets up; every later one finds that kept.
  await (await place.pick())[Symbol.asyncDispose]();
  const other = `${folder}/other.git`;
  await run("git", ["clone", "--quiet", "--bare", upstream.gitDir, other]);

  const ours = async () => {
    await upstream.push();
    const start = performance.now();
    await using picked = await place.pick();
    const status = await picked.workplace.sandbox.exec("git status --porcelain", { cwd: repoDir, timeoutMs: 60_000 });
    const took = performance.now() - start;
    if (status.output.text !== "") throw new Error(`the tree is not clean: ${status.output.text}`);
    return took;
  };
  const fetchAndRun = async () => {
    await run("git", ["-C", other, "fetch", "--quiet", upstream.gitDir, "+refs/heads/*:refs/heads/*"]);
    await run("docker", ["run", "--rm", "--network", "none", image, "true"]);
  };
  const start = ["run", "--rm", "--network", "none", "--user", String(process.getuid?.()), "--env", "HOME=/tmp"];
  const volume = ["--volume", `${upstream.gitDir}:/upstream.git:ro`];
  const cloneInside = async (how: string) => {
    const script = `git clone --quiet ${how} /tmp/repo && cd /tmp/repo && git status --porcelain`;
    await run("docker", [...start, ...volume, image, "sh", "-c", script]);
  };

  const row = { measure: "job picked -> first command in the tree", unit: "ms", value: "ours" };
  return [
    {
      rounds: 30,
      contenders: {
        ours,
        // The commit that was just pushed is new to this mirror too.
        "fetch + docker run": () => time(fetchAndRun),
        "full clone inside": () => time(() => cloneInside("/upstream.git")),
        "--depth 1 inside": () => time(() => cloneInside("--depth 1 file:///upstream.git")),
      },
      rows: [
        { ...row, beside: "fetch + docker run", goal: { atMost: 1.5 } },
        { ...row, beside: "full clone inside", goal: { atLeast: 10 } },
        { ...row, beside: "--depth 1 inside", goal: { atLeast: 4 } },
      ],
    },
  ];
}
