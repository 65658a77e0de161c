import { SaxesParser } from "saxes";
import type { SaxesTagPlain } from "saxes";
import { createCollection, joined } from "./results.ts";
import type { Collection, Found, Report } from "./results.ts";

const chunkLength = 65_536;
const deepest = 200;
// Runners copy control characters of a test's output into their reports: such faults are no reason to stop.
const mostFaults = 1_000;
const longestText = 4_000;

class Stop extends Error {}

/**
 * JUnit's XML, as its many writers have it. A test is named by its class where it has one, else by the suites around it.
 * Entities but XML's own five are left as they stand, and nothing is fetched.
 */
export function readJUnit(text: string, root: string): Report {
  const collection = createCollection(root);
  try {
    const parser = junitParser(collection);
    for (let at = 0; at < text.length; at += chunkLength) parser.write(text.slice(at, at + chunkLength));
    if (parser.isOpen()) return collection.report("it ends in the middle");
    parser.close();
  } catch (error) {
    return collection.report(error instanceof Stop ? error.message : "it is not well-formed XML");
  }
  return collection.report();
}

/** What an element's end goes back to. */
interface Around {
  suite: Suite;
  test: Found | undefined;
}
interface Suite {
  name: string;
  file: string | undefined;
}

function junitParser(collection: Collection): { write(text: string): unknown; close(): unknown; isOpen(): boolean } {
  const parser = new SaxesParser({ xmlns: false, position: false });
  const open: Around[] = [];
  let suite: Suite = { name: "", file: undefined };
  let test: Found | undefined;
  let said = "";
  let faults = 0;

  const onText = (text: string) => {
    if (said.length < longestText) said += text.slice(0, longestText);
  };
  parser.on("text", onText);
  parser.on("cdata", onText);
  parser.on("error", () => {
    if (++faults > mostFaults) throw new Stop("it is not well-formed XML");
  });
  parser.on("opentag", (tag) => {
    if (open.length >= deepest) throw new Stop(`it has elements more than ${deepest} levels deep`);
    open.push({ suite, test });
    if (tag.name === "testsuite") suite = suiteOf(tag, suite);
    if (tag.name === "testcase") test = testOf(tag, suite);
    else if (test !== undefined) mark(test, tag);
    if (isFailure(tag.name)) said = "";
  });
  parser.on("closetag", ({ name }) => {
    if (test !== undefined && isFailure(name)) {
      test.message ??= said;
      test.trace ??= said;
    }
    if (test !== undefined && name === "testcase" && !collection.add(test)) throw new Stop("");
    ({ suite, test } = open.pop() ?? { suite, test: undefined });
  });
  return { write: (text) => parser.write(text), close: () => parser.close(), isOpen: () => open.length > 0 };
}

function suiteOf({ attributes }: SaxesTagPlain, around: Suite): Suite {
  const { name = "", file } = attributes;
  return { name: joined(around.name, name), file: file?.slice(0, longestText) ?? around.file };
}

function testOf({ attributes }: SaxesTagPlain, suite: Suite): Found {
  const { name = "", classname, file, status } = attributes;
  // node:test says "test", or the suites joined by a dot; some writers repeat the test's name there.
  const repeated = [undefined, "test", suite.name.replaceAll(" > ", ".")].includes(classname);
  const own = repeated ? suite.name : classname === name ? "" : joined("", classname ?? "");
  const ran = status !== "notrun" && status !== "disabled";
  return { name: joined(own, name), file: file ?? suite.file, status: ran ? "passed" : "skipped" };
}

/** A test that is to be done yet (node:test's todo) is skipped, also where it failed. */
function mark(test: Found, { name, attributes }: SaxesTagPlain): void {
  if (name === "skipped") test.status = "skipped";
  if (!isFailure(name)) return;
  if (test.status !== "skipped") test.status = "failed";
  if (attributes["message"]?.trim()) test.message ??= attributes["message"];
}

function isFailure(name: string): boolean {
  return name === "failure" || name === "error";
}
