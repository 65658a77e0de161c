import type { Redact } from "../../src/redact.ts";
import type { Change } from "../../sandbox/changes.ts";
import { type Claim, claimOf, testFilesOf } from "./claim.ts";
import { findConfigTampering } from "./config.ts";
import { findUnreadable } from "./contents.ts";
import { type Finding, ordered } from "./findings.ts";
import { type Base, pairsOf } from "./pairs.ts";
import { findRetries } from "./retries.ts";
import { findOutOfScope } from "./scope.ts";
import { findSecrets } from "./secrets.ts";
import { type Budget, type Size, sizeOf } from "./size.ts";
import { findTestTampering } from "./tests.ts";

/** What a look at a change's files shows, before anything of it runs. */
export interface Examined {
  /** At most 100, blocking ones first. */
  findings: Finding[];
  size: Size;
  claim: Claim;
  /** For the base: the change's tests without its source. */
  testFiles: ReturnType<typeof testFilesOf>;
}

export interface ExamineOptions {
  redact: Redact;
  /** Further protected paths of the settings. */
  protect?: readonly string[];
  /** What the change is to stay in, where it is to. */
  paths?: readonly string[] | undefined;
  budget?: Budget;
  /** What a person asked for: the title. */
  request?: string;
  /** Whether dependencies are to be updated. */
  updates?: boolean;
  /** Whether tests that do as they like are to be mended. */
  steadies?: boolean;
}

/** Reads a change as data; nothing of it is run. */
export async function examineChange(
  changes: readonly Change[],
  base: Base,
  { redact, protect, paths, budget, request, updates, steadies }: ExamineOptions,
): Promise<Examined> {
  const pairs = await pairsOf(changes, base, protect);
  return {
    findings: ordered([
      ...findTestTampering(pairs),
      ...(steadies === true ? findRetries(pairs) : []),
      ...findConfigTampering(pairs),
      ...findOutOfScope(pairs, { updates, paths }),
      ...findSecrets(pairs, redact),
      ...findUnreadable(pairs),
    ]),
    size: sizeOf(pairs, budget),
    claim: claimOf(pairs, { request, updates, steadies }),
    testFiles: testFilesOf(changes),
  };
}
