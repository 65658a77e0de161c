import { readFileSync } from "node:fs";
import { needsInput } from "../outcome.ts";
import type { Updated } from "./npm.ts";
import { readRecords } from "./npm-facts.ts";
import { planUpdates, withinPull } from "./plan.ts";
import type { Direct, Update } from "./plan.ts";
import { indexesIn, pinsIn, readVersions, withPins } from "./requirements.ts";
import type { Requirements } from "./requirements.ts";
import { nothingLeftOut, turnsOf } from "./turns.ts";
import type { LeftOut } from "./turns.ts";
import type { UpdatePlace } from "./update.ts";
import { compareVersions } from "./versions.ts";

const script = readFileSync(new URL("pip.sh", import.meta.url), "utf8");
const mostPins = 200;

/** Asks pip what is newer than the pinned versions, and writes what makes one pull request into their files. */
export async function updatePip(
  place: UpdatePlace,
  {
    now,
    before,
    leftOut,
  }: { now: readonly Requirements[]; before: readonly Requirements[] | undefined; leftOut: LeftOut },
): Promise<Updated> {
  const pins = now.flatMap(pinsIn).slice(0, mostPins);
  const indexes = now.map(indexesIn);
  const index = indexes.map((one) => one.index).find(Boolean) ?? "";
  const extra = indexes
    .map((one) => one.extra)
    .join(" ")
    .trim();
  const names = [...new Set(pins.map(({ name }) => name))];
  const records = readRecords((await place.ask(script, ["versions", index, extra, ...names])).stdout);
  const found = pins.map((direct) => ({ direct, published: readVersions(records.get(direct.name) ?? "") }));
  if (found.every(({ published }) => published === undefined)) {
    const detail = "The index told nothing of any package, or pip is not in the image.";
    return { ok: false, outcome: needsInput("update failed", detail) };
  }
  const planned = planUpdates(found);
  const whole = { ...planned, majors: planned.majors.filter((one) => isNewestPin(one, pins)) };
  const plan = before === undefined ? whole : withinPull(whole, { before: before.flatMap(pinsIn), now: pins });
  const { turns, left } = turnsOf(plan, before === undefined ? leftOut : nothingLeftOut);
  const [turn, ...later] = turns;
  const taken = turn?.updates ?? [];
  for (const { path, text } of now) {
    const next = withPins(
      text,
      taken.filter(({ folder }) => folder === path),
    );
    if (next !== text) await place.ask(script, ["write", path, next]);
  }
  return {
    ok: true,
    facts: {
      updated: taken.map(({ name, folder, from, to }) => ({ name, folder, from, to, fixes: [], changelog: "" })),
      ...(before === undefined && turn !== undefined && { turn: { content: turn.content, versions: turn.versions } }),
      later: later.flatMap(({ updates }) => updates),
      deprecated: [],
      left: [...plan.left, ...left],
    },
  };
}

/** A file that pins a package to several versions has the older ones for who can't have the newer ones. */
function isNewestPin({ name, folder, from }: Update, pins: readonly Direct[]): boolean {
  return !pins.some((pin) => pin.name === name && pin.folder === folder && compareVersions(pin.current, from) > 0);
}
