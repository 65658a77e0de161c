import { expect, it } from "vitest";
import { snapshotHash } from "../../src/job.ts";
import { openRunLog } from "../../src/runlog.ts";
import { changedText } from "../../worker/changed.ts";
import { createLocalHost, dataFolder, job } from "./support.ts";

it.each([
  ["the text that was approved", { title: "It breaks", body: "It does." }, undefined],
  [
    "another body",
    { title: "It breaks", body: "It did." },
    "The issue was changed after it was approved; I worked on the text of 2026-01-01 00:05 UTC.",
  ],
  [
    "another title",
    { title: "It broke", body: "It does." },
    "The issue was changed after it was approved; I worked on the text of 2026-01-01 00:05 UTC.",
  ],
])("an issue with %s is told apart from what the run worked on", async (_what, text, said) => {
  using host = createLocalHost({ "a.txt": "" });
  using data = dataFolder();
  const log = openRunLog(data.path, "run-1");
  await log.append({ type: "snapshot", hash: snapshotHash(text), ...text });

  const told = await changedText({ job: { ...job, askedAt: Date.UTC(2026, 0, 1, 0, 5) }, log }, host.forge, 7);
  log.close();

  expect(told).toBe(said);
});
