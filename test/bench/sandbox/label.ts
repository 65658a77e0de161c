import { setTimeout as delay } from "node:timers/promises";
import { Octokit } from "@octokit/rest";
import { startLaptop } from "../../../src/cli/laptop.ts";
import { startModel } from "../../../src/demo/model/model.ts";
import type { RunningWorker } from "../../../worker/process.ts";
import type { Bench } from "../harness.ts";
import { startRelay } from "../relay.ts";
import { createUpstream, image, openFolder, run } from "../support.ts";
import { placeFiles } from "./place.ts";

const apiMs = 120;
const gitMs = 60;
const rounds = 30;
const where = { owner: "ann", repo: "large" };
/** The run ends with a question, since only its beginning counts here. */
const script = {
  name: "ask",
  when: "Task: resolve an issue",
  holes: {},
  steps: [{ id: "ask", say: "", calls: [{ name: "ask", arguments: { question: "Which one?", fallback: "None." } }] }],
};

/** From the label to the first request at the model, through the whole system, with a code host that is far away. */
export async function label(stack: AsyncDisposableStack): Promise<Bench[]> {
  const folder = await openFolder(stack);
  const asked = createSignal();
  const labelled = createSignal();
  const host = stack.use(await startRelay(({ url = "" }) => (url.startsWith("/api/") ? apiMs : gitMs)));
  const model = stack.use(await startModel({ scripts: [script] }));
  const beforeModel = stack.use(
    await startRelay(({ url = "" }) => {
      if (url.endsWith("/chat/completions")) asked.give();
      return 0;
    }),
  );
  beforeModel.leadTo(model.url.replace(/\/v1$/, ""));
  const laptop = stack.use(
    await startLaptop({
      dataDir: `${folder}/data`,
      worker: false,
      settings: {
        LOG_LEVEL: "error",
        GHE_HOST: new URL(host.url).host,
        MODEL_BASE_URL: `${beforeModel.url}/v1`,
        MODEL_NAME: model.name,
      },
      github: {
        onDelivery: ({ payload }) => {
          if ((payload as { action?: string }).action === "labeled") labelled.give();
        },
      },
    }),
  );
  const { github } = laptop;
  host.leadTo(github.url);
  const upstream = await createUpstream(folder, placeFiles);
  const { gitDir } = await github.addRepository({ owner: where.owner, name: where.repo });
  await run("git", ["-C", gitDir, "fetch", "--quiet", upstream.gitDir, "main:main"]);
  github.install({ repositories: ["ann/large"] });
  const token = github.addUser("ann");
  const ann = new Octokit({ auth: token, baseUrl: github.apiUrl });
  const numbers: number[] = [];
  while (numbers.length < rounds + 2) {
    const { data } = await ann.rest.issues.create({ ...where, title: `Part ${numbers.length} is slow` });
    numbers.push(data.number);
  }
  const worker = await laptop.startWorker();
  let next = 0;

  const ours = async () => {
    const start = labelled.next();
    const end = asked.next();
    await ann.rest.issues.addLabels({ ...where, issue_number: numbers[next++] ?? 0, labels: ["agent-fix"] });
    const took = (await end) - (await start);
    await untilIdle(worker);
    return took;
  };
  const far = new Octokit({ auth: token, baseUrl: `${host.url}/api/v3` });
  const naive = async () => {
    const end = asked.next();
    const start = performance.now();
    await far.rest.users.getAuthenticated();
    await far.rest.issues.get({ ...where, issue_number: 1 });
    await far.rest.repos.getCollaboratorPermissionLevel({ ...where, username: "ann" });
    await far.rest.issues.createComment({ ...where, issue_number: numbers[0] ?? 0, body: "Working" });
    const id = (await run("docker", ["run", "--detach", "--rm", "--network", "host", image, "sleep", "600"])).trim();
    await using _removed = { [Symbol.asyncDispose]: async () => void (await run("docker", ["rm", "--force", id])) };
    const url = `${host.url.replace("://", `://ann:${token}@`)}/ann/large.git`;
    await run("docker", ["exec", id, "git", "clone", "--quiet", "--depth", "1", url, "/tmp/repo"]);
    await run("docker", ["exec", "--workdir", "/tmp/repo", id, "git", "log", "-1"]);
    await fetch(`${beforeModel.url}/v1/chat/completions`, { method: "POST", body: "{}" });
    return (await end) - start;
  };

  return [
    {
      rounds,
      contenders: { ours, "fresh container, shallow clone": naive },
      rows: [
        {
          measure: "label -> first model request, far code host",
          unit: "ms",
          value: "ours",
          beside: "fresh container, shallow clone",
          goal: { atMost: 0.2 },
        },
      ],
    },
  ];
}

/** `next` is the time of the next `give`. */
function createSignal(): { give(): void; next(): Promise<number> } {
  let waiting = Promise.withResolvers<number>();
  return {
    give: () => waiting.resolve(performance.now()),
    next() {
      waiting = Promise.withResolvers<number>();
      return waiting.promise;
    },
  };
}

async function untilIdle({ active }: RunningWorker): Promise<void> {
  // The run is off the list for a moment when it is taken up.
  do await delay(50);
  while (active.size > 0);
}
