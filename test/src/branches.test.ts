import { describe, expect, it } from "vitest";
import { newestNames, numberIn, ourPulls } from "../../src/branches.ts";
import { createLocalHost, ourPull } from "../worker/support.ts";

const name = "agent-fix/task/tidy";

/** A host on which so many of the names were used: the last has a branch, the others had pull requests. */
function used(count: number) {
  const host = createLocalHost({ "a.txt": "1\n" });
  const asked: string[] = [];
  const head = { branch: "", commit: host.commits[0] ?? "" };
  const nameOf = (number: number) => (number === 1 ? name : `${name}-${number}`);
  for (let number = 1; number < count; number++)
    host.pulls.push({ ...ourPull, number, state: "closed", head: { ...head, branch: nameOf(number) } });
  if (count > 0) host.git("update-ref", `refs/heads/${nameOf(count)}`, head.commit);
  const forge = {
    ...host.forge,
    async branchHead(branch: string) {
      asked.push(branch);
      return host.forge.branchHead(branch);
    },
  };
  return { forge, asked, [Symbol.dispose]: () => host[Symbol.dispose]() };
}

describe("the newest names of a subject", () => {
  it.each([
    [0, []],
    [1, [1]],
    [2, [1, 2]],
    [3, [1, 2, 3]],
    [4, [2, 3, 4]],
    [7, [5, 6, 7]],
    [128, [126, 127, 128]],
    [300, [298, 299, 300]],
  ])("are found where %i were used", async (count, numbers) => {
    using on = used(count);

    expect((await newestNames(on.forge, name)).map(({ number }) => number)).toEqual(numbers);
  });

  it("are found with few questions among hundreds, and with two where the newest is known", async () => {
    using on = used(300);

    await newestNames(on.forge, name);
    expect(on.asked.length).toBeLessThan(24);
    on.asked.length = 0;
    await newestNames(on.forge, name, 300);

    expect(on.asked.slice(0, 2)).toEqual([`${name}-300`, `${name}-301`]);
    expect(on.asked).toHaveLength(4);
  });

  it("are found above a name that is free again, since somebody deleted its branch", async () => {
    using on = used(3);
    const forge = { ...on.forge, pullsFrom: async () => [] };

    expect((await newestNames(forge, name)).at(-1)).toMatchObject({ number: 3, head: expect.any(String) });
  });

  it("are found beside branches of people that end in a number too", async () => {
    using on = used(3);
    const forge = { ...on.forge, branchesFrom: async () => [`${name}-3`, `${name}-2026`, `${name}-20261126`] };

    expect((await newestNames(forge, name)).map(({ number }) => number)).toEqual([1, 2, 3, 2026]);
  });

  it("have the pull requests of a subject, oldest first", async () => {
    using on = used(5);

    expect((await ourPulls(on.forge, name)).map(({ number }) => number)).toEqual([3, 4]);
  });
});

it.each([
  [name, 1],
  [`${name}-12`, 12],
  [`${name}-x`, undefined],
  [`${name}-1`, undefined],
  [`${name}-007`, undefined],
  [`${name}-0x2`, undefined],
  [`${name}-100000000000000000000`, undefined],
  [`${name}er-2`, undefined],
  ["main", undefined],
])("the number in %s is %s", (branch, number) => {
  expect(numberIn(name, branch)).toBe(number);
});
