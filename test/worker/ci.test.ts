import { describe, expect, it } from "vitest";
import { ciHeld } from "../../worker/ci.ts";
import { testRepository } from "../sandbox/support.ts";

async function held(
  files: Record<string, string>,
  { ci, isPrivate = true }: { ci?: "hold" | "run"; isPrivate?: boolean },
) {
  using repository = testRepository(files);
  return await ciHeld(repository.mirror, repository.commits[0] ?? "", { ci, isPrivate });
}

const plain = "on: pull_request\njobs: {test: {runs-on: ubuntu-latest}}\n";
const workflow = (text: string) => ({ ".github/workflows/ci.yml": plain, ".github/workflows/more.yaml": text });

describe("ciHeld", () => {
  it("holds the workflows of a public repository back, and lets those of a private one run", async () => {
    expect(await held(workflow(plain), { isPrivate: false })).toBe(true);
    expect(await held(workflow(plain), {})).toBe(false);
    expect(await held({ "a.txt": "" }, {})).toBe(false);
  });

  it.each([
    ["runs with the base's secrets", "on:\n  pull_request_target:\n    types: [opened]\n"],
    ["runs on a machine of the owner", "jobs:\n  a:\n    runs-on: [self-hosted, linux]\n"],
  ])("holds a private repository's back when one of them %s", async (_why, text) => {
    expect(await held(workflow(text), {})).toBe(true);
  });

  it("does what the settings say", async () => {
    expect(await held(workflow("on: pull_request_target\n"), { ci: "run", isPrivate: false })).toBe(false);
    expect(await held(workflow(plain), { ci: "hold" })).toBe(true);
  });

  it("is not held up by folders and links among the workflows", async () => {
    const files = {
      ...workflow(plain),
      ".github/workflows/shared/part.sh": "echo\n",
      ".github/workflows/link.yml": "link:/etc/passwd",
      ".github/other/pull_request_target.yml": "on: pull_request_target\n",
    };

    expect(await held(files, {})).toBe(false);
  });
});
