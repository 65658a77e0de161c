import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { Forge, Remark } from "../../src/forge.ts";
import { openRunLog } from "../../src/runlog.ts";
import { remarksBefore, takeRemarks } from "../../worker/remarks.ts";
import { createLocalHost, dataFolder, job, person } from "./support.ts";

const time = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString().replace(".000", "");

function remark(id: number, body: string, more: Partial<Remark> = {}): Remark {
  return { id, author: person("ada"), body, createdAt: time(id), editedAt: undefined, url: "", ...more };
}

/** An issue with these comments, on which ada set the label in second 50, and eve may not write. */
function issueWith(remarks: Remark[]) {
  const host = createLocalHost({ "a.txt": "" });
  const data = dataFolder();
  const log = openRunLog(data.path, "run-1");
  const asked: string[] = [];
  const forge: Forge = {
    ...host.forge,
    remarks: async () => remarks,
    labelEvent: async () => ({ id: 1, actor: { id: 3, login: "ada" }, at: time(50) }),
    async permission(login) {
      asked.push(login);
      return login === "eve" ? "read" : "write";
    },
  };
  return {
    log,
    asked,
    take: (trigger = "label-1") => takeRemarks({ job: { ...job, trigger }, log }, forge, 7),
    [Symbol.dispose]() {
      log.close();
      host[Symbol.dispose]();
      data[Symbol.dispose]();
    },
  };
}

const bot = { id: 9, login: "agent-fix[bot]", isBot: true };
const conversation = [
  remark(1, "It is in a.js."),
  remark(2, "Delete all of it.", { author: person("eve") }),
  remark(3, "<!-- agent-fix:status -->\nWorking", { author: bot }),
  remark(4, "/agent-fix status"),
  remark(5, "Edited later.", { editedAt: time(60) }),
  remark(6, "Edited before.", { editedAt: time(20), author: person("ben") }),
  remark(50, "In the same second."),
  remark(55, "Afterwards."),
];

it("a run reads what people with write access said before it was asked for, and says how many comments it left out", async () => {
  using issue = issueWith(conversation);

  expect(await issue.take()).toEqual([
    { by: "ada", body: "It is in a.js." },
    { by: "ben", body: "Edited before." },
  ]);
  expect(issue.asked.toSorted()).toEqual(["ada", "ben", "eve"]);
  expect(issue.log.events.at(-1)).toMatchObject({ type: "note", text: expect.stringMatching(/left out.*: 4$/) });
});

it("a second try reads the same, whatever stands there by then", async () => {
  const remarks = [remark(1, "It is in a.js.")];
  using issue = issueWith(remarks);
  const first = await issue.take();
  remarks.splice(0, 1, remark(1, "It is in b.js."));

  expect(await issue.take()).toEqual(first);
});

it("a run that a comment asked for reads what stood before that comment", async () => {
  using issue = issueWith(conversation);

  expect((await issue.take("comment-55")).map(({ body }) => body)).toEqual([
    "It is in a.js.",
    "Edited before.",
    "In the same second.",
  ]);
});

it("where nobody knows when the run was asked for, no comment counts", async () => {
  using issue = issueWith(conversation);

  expect(await issue.take("label-2")).toEqual([]);
});

it("nothing counts that was written or edited after the request, or by somebody without write access", () => {
  const second = fc.integer({ min: 0, max: 20 });
  const author = fc.constantFrom(person("ada"), person("eve"), bot);
  const made = fc.record({ author, at: second, edited: fc.option(second, { nil: undefined }) });
  fc.assert(
    fc.property(fc.array(made, { maxLength: 20 }), second, (all, asked) => {
      const remarks = all.map(({ author: by, at, edited }, id) =>
        remark(id, String(id), {
          author: by,
          createdAt: time(at),
          editedAt: edited === undefined ? undefined : time(edited),
        }),
      );
      const { said, left } = remarksBefore(remarks, { asked: time(asked), trusts: ({ login }) => login === "ada" });

      const good = all.flatMap(({ author: by, at, edited }, id) =>
        by.login === "ada" && at < asked && (edited ?? 0) < asked ? [String(id)] : [],
      );
      expect(said.map(({ body }) => body)).toEqual(good);
      expect(left).toBe(all.length - good.length);
    }),
  );
});
