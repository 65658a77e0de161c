import { addRun, tellCompleted } from "./check-suites.ts";
import type { Context } from "./context.ts";
import { notFound } from "./failure.ts";
import { accountOf } from "./state.ts";
import type { Annotation, AppFacts } from "./state.ts";

export interface OtherCheck {
  /** The other app's slug. */
  app: string;
  name: string;
  commit: string;
  /** None: it is still running. */
  conclusion?: "success" | "failure" | "neutral" | "cancelled" | "skipped" | "timed_out" | "action_required";
  url?: string;
  annotations?: Annotation[];
}

/** Apps beside ours, which do what no person's token can. Repositories are `owner/name`. */
export interface OtherApps {
  /** Completes the app's run of that name that is under way, or begins one. Returns the run's id. */
  check(repository: string, check: OtherCheck): Promise<number>;
}

export function createOtherApps(context: Context): OtherApps {
  const { state } = context;
  const apps = new Map<string, AppFacts>();
  return {
    async check(at, { app: slug, name, commit, conclusion, url, annotations = [] }) {
      const repository = state.repositories.get(at);
      if (repository === undefined) throw notFound();
      const app = apps.get(slug) ?? newApp(slug);
      apps.set(slug, app);
      const underWay = repository.checkRuns.find(
        (one) => one.app === app && one.commit === commit && one.name === name && one.status !== "completed",
      );
      const run = underWay ?? addRun(state, repository, { app, commit, name });
      run.detailsUrl = url ?? run.detailsUrl;
      run.annotations.push(...annotations);
      run.status = "in_progress";
      if (conclusion === undefined) return run.id;
      Object.assign(run, { status: "completed", conclusion, completedAt: state.now() });
      await tellCompleted(context, repository, run);
      return run.id;
    },
  };

  function newApp(slug: string): AppFacts {
    const bot = accountOf(state, `${slug}[bot]`, "Bot");
    return { id: state.nextId(), slug, name: slug, bot, permissions: {}, events: [], createdAt: state.now() };
  }
}
