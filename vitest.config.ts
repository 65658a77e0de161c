import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // Most tests wait for a process of their own: Redis, git, a server.
    maxWorkers: "100%",
    projects: [
      {
        test: {
          name: "fast",
          include: ["test/{src,worker,demo,support}/**/*.test.ts"],
          testTimeout: 20_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: "docker",
          include: ["test/sandbox/**/*.test.ts", "test/end-to-end/**/*.test.ts"],
          testTimeout: 180_000,
          hookTimeout: 120_000,
          // The machine has two cores, and the engine starts containers one after another.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          // Fetches published packages, so it runs only when it is asked for.
          name: "packages",
          include: ["test/packages/**/*.test.ts"],
          testTimeout: 600_000,
          hookTimeout: 900_000,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
