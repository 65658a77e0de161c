import type { WireTool } from "../../../worker/agent/schema.ts";
import { type Seen, bad, ok, warn } from "./finding.ts";
import { argumentsOf, misdelivered, valuesRemedy } from "./model-calls.ts";
import type { Answered, Facts } from "./model-calls.ts";

/** One question, and what its answer means. */
export interface Probe {
  part: string;
  prompt: string;
  tools?: WireTool[];
  maxTokens: number;
  judge(answer: Answered, facts: Facts): Seen;
}

/** The questions that are short. The model may slip, so each of them is asked again when its answer is not good. */
export const shortProbes: readonly Probe[] = [
  { part: "answer", prompt: "Answer with the word ready, and nothing else.", maxTokens: 256, judge: judgePlain },
  {
    part: "two-calls",
    prompt:
      "Call the tool `lookup` twice in this one answer: first with the key alpha, then with the key beta. Say nothing else.",
    tools: [tool("lookup", "Looks up the value of a key.", { key: { type: "string" } })],
    maxTokens: 1024,
    judge: judgeTwo,
  },
  {
    part: "no-arguments",
    prompt: "Call the tool `status`, which takes no arguments. Say nothing else.",
    tools: [tool("status", "Tells how things are.", {})],
    maxTokens: 1024,
    judge: judgeEmpty,
  },
  {
    part: "types",
    prompt: 'Call the tool `label` with the labels "bug" and "ui", count 2 and deep true. Say nothing else.',
    tools: [
      tool("label", "Sets labels.", {
        labels: { type: "array", items: { type: "string" } },
        count: { type: "integer" },
        deep: { type: "boolean" },
      }),
    ],
    maxTokens: 1024,
    judge: judgeTypes,
  },
  {
    part: "long-text",
    prompt: `Call the tool \`write_note\` with the path note.ts and, as its text, an exact copy of the lines between BEGIN and END. Say nothing else.\n\nBEGIN\n${longText()}END\n`,
    tools: [tool("write_note", "Writes a file.", { path: { type: "string" }, text: { type: "string" } })],
    maxTokens: 6000,
    judge: judgeLong,
  },
];

function tool(name: string, description: string, properties: Record<string, object>): WireTool {
  const parameters = { type: "object", properties, required: Object.keys(properties) };
  return { type: "function", function: { name, description, parameters } };
}

/** What servers' parsers are known to change, in text that a model copies well. */
function longText(): string {
  const lines = Array.from({ length: 12 }, (_, n) => [
    `export class Box${n}<T=string> { label = "box \\"${n}\\""; }`,
    `\tconst path = 'C:\\\\temp\\\\${n}'; // it's 5 < 7 && 7 > 5`,
    `\tconst text = \`line ${n}\\n<b title="x">\${path}</b> äöü ✓\`;`,
    "",
  ]);
  return `${lines.flat().join("\n")}// the end\n`;
}

function judgePlain({ text, reasoning, usage, ms }: Answered, { server }: Facts): Seen {
  if (text.trim() === "" && reasoning.trim() !== "")
    return bad("the answer came as reasoning and its text was empty: a reasoning parser took it", server.reasoning);
  if (text.trim() === "")
    return bad("the answer was empty", "Look at the server's log, and whether it serves Qwen3-Coder-Next");
  if (/<\/?think>/.test(text))
    return warn(
      "the model thinks aloud in its answer: every step costs more, and history grows with it",
      "Serve Qwen3-Coder-Next, which does not, or turn thinking off in the server's chat template",
    );
  if (usage === undefined)
    return warn(
      "the server counts no tokens: limits and the room for an answer are estimates",
      "Update it, or take a server that knows `stream_options.include_usage`",
    );
  return ok(`answered with ${usage.completion} tokens in ${ms} ms`);
}

function judgeTwo(answer: Answered, facts: Facts): Seen {
  const wrong = misdelivered(answer, "lookup", facts);
  if (wrong !== undefined) return wrong;
  const keys = answer.calls.map((call) => argumentsOf(call)?.["key"]);
  if (keys.join() === "alpha,beta") return ok("both came, in order");
  if (keys.length === 1)
    return warn(
      `one of two calls came (${JSON.stringify(keys[0])}): the other was not made, or lost on its way. Runs work, in more steps`,
      facts.speculative ? valuesRemedy(facts) : "If it is so each time, try a newer version of the server",
    );
  return warn(`the calls are not those that were asked for: keys ${JSON.stringify(keys)}`, valuesRemedy(facts));
}

function judgeEmpty(answer: Answered, facts: Facts): Seen {
  const wrong = misdelivered(answer, "status", facts);
  if (wrong !== undefined) return wrong;
  const keys = answer.calls.flatMap((call) => Object.keys(argumentsOf(call) ?? {}));
  if (keys.length === 0) return ok("came, without arguments");
  return warn(`the call has arguments that nobody asked for: ${keys.join(", ")}`, valuesRemedy(facts));
}

function judgeTypes(answer: Answered, facts: Facts): Seen {
  const wrong = misdelivered(answer, "label", facts);
  if (wrong !== undefined) return wrong;
  const [call] = answer.calls;
  const { labels, count, deep } = (call === undefined ? undefined : argumentsOf(call)) ?? {};
  if (typeof labels === "string")
    return warn(
      `the array came as the text ${JSON.stringify(labels)}: the server's parser does not read arrays. The tools of a run have none, so runs are not hurt; other agents are`,
      valuesRemedy(facts),
    );
  const texts = Object.entries({ count, deep }).filter(([, value]) => typeof value === "string");
  if (texts.length > 0)
    return warn(
      `${texts.map(([key]) => key).join(" and ")} came as text: the server's parser does not look at the tools' types. A run reads them all the same`,
      valuesRemedy(facts),
    );
  if (JSON.stringify([labels, count, deep]) === '[["bug","ui"],2,true]')
    return ok("array, number and boolean came as such");
  return warn(
    `other values came: ${JSON.stringify({ labels, count, deep })}`,
    "If it is so each time, serve Qwen3-Coder-Next",
  );
}

function judgeLong(answer: Answered, facts: Facts): Seen {
  const wrong = misdelivered(answer, "write_note", facts);
  if (wrong !== undefined) return wrong;
  const [call] = answer.calls;
  const { text } = (call === undefined ? undefined : argumentsOf(call)) ?? {};
  const said = (typeof text === "string" ? text : "").trim().split("\n");
  const wanted = longText().trim().split("\n");
  if (said.join("\n") === wanted.join("\n")) return ok(`${longText().length} characters of code came back as they are`);
  if (said.some((line) => /<T name=/.test(line)))
    return warn(
      `${facts.server.name}'s parser turned \`<T=string>\` into \`<T name="string">\`: such code goes wrong into files`,
      valuesRemedy(facts),
    );
  if (said.some((line) => /&(?:lt|gt|quot|amp|#39);/.test(line)))
    return warn("the text came back with HTML entities: quotes and brackets go wrong into files", valuesRemedy(facts));
  if (said.length === 1)
    return bad(
      "the lines came back as one: line ends are encoded twice, so no file can be written",
      valuesRemedy(facts),
    );
  if (wanted.join("\n").startsWith(said.join("\n")))
    return bad(
      `the text was cut after ${said.length} of ${wanted.length} lines${answer.finish === "length" ? ", by a limit of its length" : ""}`,
      `Let the server answer with at least 16384 tokens. ${valuesRemedy(facts)}`,
    );
  const at = wanted.findIndex((line, index) => line !== said[index]);
  return warn(
    `line ${at + 1} came back otherwise: ${JSON.stringify(said[at] ?? "")} for ${JSON.stringify(wanted[at] ?? "")}`,
    `The model slips now and then, a heavily quantised one more often. If it is so each time: ${valuesRemedy(facts)}`,
  );
}
