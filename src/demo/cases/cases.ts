/** A published package with a known historical bug, fetched from the registry when it is asked for. */
export interface Case {
  package: string;
  version: string;
  issue: { title: string; body: string };
}

/** The bugs are history: minimist mended this one in 1.2.6, flat in 5.0.1. */
export const cases: Record<string, Case> = {
  minimist: {
    package: "minimist",
    version: "1.2.5",
    issue: {
      title: "Arguments can still write to Function.prototype",
      body: [
        "The guard against prototype pollution looks for `__proto__` and for the prototypes of Object, Number and String.",
        "An argument that walks through a method's `constructor` gets past it:",
        "",
        "```js",
        "require('minimist')(['--_.concat.constructor.prototype.polluted', 'yes']);",
        "console.log((function () {}).polluted); // 'yes', expected undefined",
        "```",
        "",
        "Whoever controls the command line can so add a property to every function of the process. Please refuse such keys, and add a test beside those in `test/proto.js`.",
      ].join("\n"),
    },
  },
  flat: {
    package: "flat",
    version: "5.0.0",
    issue: {
      title: "unflatten writes to Object.prototype",
      body: [
        "A key that starts with `__proto__` reaches the prototype of every object:",
        "",
        "```js",
        "require('flat').unflatten({ '__proto__.polluted': true });",
        "console.log({}.polluted); // true, expected undefined",
        "```",
        "",
        "`unflatten` is often fed with parsed form fields or JSON from outside, so this is a way in. Such keys should be left out.",
      ].join("\n"),
    },
  },
};
