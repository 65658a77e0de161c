import type { ChatBody } from "../../support/model-server.ts";

type Wire = ChatBody["messages"][number];

/** The prompt that the model's template makes of a request, up to where the answer begins. */
export function renderRequest({ messages, tools = [] }: Pick<ChatBody, "messages" | "tools">): string {
  const [system, ...rest] = messages;
  const functions = tools.map((tool) => `<function>\n${JSON.stringify(tool.function)}\n</function>\n`).join("");
  const head = `${textIn(system)}\n\n# Tools\n\n<tools>\n${functions}</tools>\n`;
  const turns = rest.map((message, index) => turnOf(message, rest[index - 1], rest[index + 1]));
  return `${turn("system", head)}${turns.join("")}<|im_start|>assistant\n`;
}

/** What the model has to write so that the template makes the same of it later. */
export function renderAnswer(text: string, calls: readonly { name: string; arguments: string | object }[]): string {
  const written = calls.map(({ name, arguments: given }) => {
    const values = Object.entries(argumentsIn(given)).map(
      ([key, value]) =>
        `<parameter=${key}>\n${typeof value === "string" ? value : JSON.stringify(value)}\n</parameter>\n`,
    );
    return `<tool_call>\n<function=${name}>\n${values.join("")}</function>\n</tool_call>`;
  });
  return `${[text.trim(), ...written].join("\n\n")}<|im_end|>\n`;
}

/** A fixed stand-in for the model's tokenizer, of three to four characters a token. */
export function tokensIn(text: string): string[] {
  return text.match(/<\|im_(?:start|end)\|>|<\/?tool_call>|[ .]?\p{L}{1,8}|\d|\s+|[^\s\p{L}\d]/gu) ?? [];
}

function turnOf(message: Wire, before: Wire | undefined, after: Wire | undefined): string {
  const role = String(message["role"]);
  if (role === "assistant") return `<|im_start|>assistant\n${renderAnswer(textIn(message), callsIn(message))}`;
  if (role !== "tool") return turn(role, textIn(message));
  // Results that follow one another share one turn.
  const opens = before?.["role"] === "tool" ? "" : "<|im_start|>user\n";
  const closes = after?.["role"] === "tool" ? "" : "<|im_end|>\n";
  return `${opens}<tool_response>\n${textIn(message)}\n</tool_response>\n${closes}`;
}

function turn(role: string, text: string): string {
  return `<|im_start|>${role}\n${text}<|im_end|>\n`;
}

function textIn(message: Wire | undefined): string {
  const content = message?.["content"];
  return typeof content === "string" ? content : "";
}

function callsIn(message: Wire): { name: string; arguments: string }[] {
  const calls = (message["tool_calls"] ?? []) as { function: { name: string; arguments: string } }[];
  return calls.map((call) => call.function);
}

function argumentsIn(given: string | object): object {
  if (typeof given !== "string") return given;
  try {
    return JSON.parse(given) as object;
  } catch {
    return { "": given };
  }
}
