import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "fast",
          include: ["test/{src,worker,demo,support}/**/*.test.ts"],
          testTimeout: 20_000,
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
        },
      },
    ],
  },
});
