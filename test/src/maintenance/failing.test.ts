import { expect, it } from "vitest";
import { OutageError } from "../../../src/errors.ts";
import { redisPrefix } from "../../../src/queue.ts";
import { startUpkeep } from "./support.ts";

const settings = `maintenance:
  due: {task: "Tidy up", schedule: "0 5 * * 1"}
  asked: {task: "Tidy up", schedule: "0 5 1 11 *"}
unattended: {open: 9, hourly: 9}
`;
const token = "AKIAIOSFODNN7EXAMPLE";

type Upkeep = Awaited<ReturnType<typeof startUpkeep>>;

/** Fails one write, counted from 1, of all that an upkeep makes; `isMade`: only its answer is lost. */
function failWrites({ deps }: Upkeep) {
  const { host, queues } = deps;
  const failing = { number: 0, isMade: false };
  let count = 0;
  const write = async <T>(make: () => Promise<T>): Promise<T> => {
    const fails = ++count === failing.number;
    if (fails && !failing.isMade) throw new OutageError("it did not answer");
    const made = await make();
    if (fails) throw new OutageError("its answer was lost");
    return made;
  };
  const set = queues.redis.set.bind(queues.redis) as (...args: unknown[]) => Promise<unknown>;
  Object.assign(queues.redis, {
    set: (key: string, ...rest: unknown[]) =>
      key.startsWith(`${redisPrefix}:lock:`) ? set(key, ...rest) : write(() => set(key, ...rest)),
  });
  const addRun = queues.addRun.bind(queues);
  queues.addRun = (run) => write(() => addRun(run));
  deps.host = {
    ...host,
    forge: (repo, access) => {
      const forge = host.forge(repo, access);
      return { ...forge, ensureIssue: (mark, text) => write(() => forge.ensureIssue(mark, text)) };
    },
  };
  return (number: number, isMade: boolean) => {
    count = 0;
    Object.assign(failing, { number, isMade });
  };
}

const subjects = async ({ waiting }: Upkeep) =>
  (await waiting()).map(({ subject }) => (subject.kind === "task" ? subject.key : "")).toSorted();

it("whichever write fails, before it is made or after, nothing is lost and nothing comes twice", async () => {
  await using on = await startUpkeep(settings);
  await on.at("2026-11-21T12:00:00Z");
  const fail = failWrites(on);
  const works = (time: string) =>
    on.at(time).then(
      () => true,
      () => false,
    );
  let number = 0;
  for (let isOver = false; !isOver; ) {
    const day = new Date(Date.parse("2026-11-23T00:00:00Z") + number * 7 * 24 * 3600_000).toISOString().slice(0, 10);
    const verb = number++ === 0 ? "run" : "retry";
    fail(number, false);
    isOver = await works(`${day}T05:00:00Z`);
    // People still see the text before, or the new one already.
    await on.tick(`${verb}-task=asked`);
    fail(number, true);
    await works(`${day}T05:01:00Z`);
    fail(0, false);
    await on.at(`${day}T05:02:00Z`);

    expect(await subjects(on), `after write ${number}`).toEqual(["asked", "due"]);
    expect((await on.dashboard())?.body).not.toContain("[x]");
    await on.work({ outcome: "gave-up", cause: "update failed" });
    await on.at(`${day}T05:10:00Z`);
    expect(await subjects(on)).toEqual([]);
  }
  expect(number).toBeGreaterThan(6);
}, 60_000);

it("a dashboard from which a secret was taken out is edited only where it changed, and its boxes count", async () => {
  await using on = await startUpkeep(settings);
  await on.at("2026-11-21T12:00:00Z");
  await on.at("2026-11-23T05:00:00Z");
  await on.work({ outcome: "gave-up", cause: "update failed", detail: `It said ${token}` });
  await on.at("2026-11-23T05:05:00Z");
  expect((await on.dashboard())?.body).toContain("It said [secret]");
  const before = on.github.state.deliveries.length;

  await on.at("2026-11-23T05:10:00Z");
  expect(on.github.state.deliveries).toHaveLength(before);
  await on.tick("run-task=asked");
  await on.at("2026-11-23T05:15:00Z");

  expect(await subjects(on)).toEqual(["asked"]);
});
