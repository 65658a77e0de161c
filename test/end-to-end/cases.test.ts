import { expect, test } from "vitest";
import { cases } from "../../src/demo/cases/cases.ts";
import { fetchPackage } from "../../src/demo/cases/fetch-package.ts";
import { addProject, fileLabelled, finalStatus, pullsOf, startTestLaptop } from "./support/laptop.ts";

test.each(Object.entries(cases))(
  "the historical bug of %s is mended with its own test suite green and a new test",
  async (_name, one) => {
    await using laptop = await startTestLaptop();
    const where = await addProject(laptop, one.package, await fetchPackage(one.package, one.version));
    const number = await fileLabelled(laptop, where, one.issue);

    const { body } = await finalStatus(laptop, where, number);
    const [pull] = await pullsOf(laptop, where);

    expect(body).toContain("**Opened #2");
    expect(pull?.body).toContain("| `npm test` | passed | passed |");
    const { data: diff } = await laptop.as("ann").request("GET /repos/{owner}/{repo}/pulls/{pull_number}", {
      ...where,
      pull_number: pull?.number ?? 0,
      mediaType: { format: "diff" },
    });
    expect(diff).toMatch(/^diff --git a\/test\//m);
  },
  // Dev dependencies are installed from the registry.
  600_000,
);
