import { LLMock, isChatCompletionBody } from "@copilotkit/aimock";
import type { ChatCompletionRequest, ChatMessage, FixtureResponse } from "@copilotkit/aimock";
import { createPrefixCache, tokensOf } from "./prefix-cache.ts";
import { answerFor } from "./script.ts";
import type { Script, WireMessage } from "./script.ts";
import { overflowMessage, refusal, speakAsVllm } from "./vllm.ts";

export interface ScriptedModel extends AsyncDisposable {
  /** Ends in `/v1`. */
  url: string;
  name: string;
  /** The bodies of the requests for an answer so far, at most the last 1,000. */
  readonly requests: readonly ChatCompletionRequest[];
  /** The next request for an answer fails with this status. */
  failNext(status: number, message: string): void;
}

const servedName = "Qwen/Qwen3-Coder-Next";

/** A model server that answers by script, over the same HTTP as vLLM. */
export async function startModel(options: {
  scripts: readonly Script[];
  /** Default: any free port. */
  port?: number;
  /** Default: 262,144. */
  contextTokens?: number;
  /** Milliseconds between two pieces of an answer. */
  latency?: number;
  /** Called with what a conversation said that its script did not expect. */
  onOffScript?: (message: string) => void;
}): Promise<ScriptedModel> {
  const { scripts, port = 0, contextTokens = 262_144, latency = 0, onOffScript } = options;
  const mock = new LLMock({ port, host: "127.0.0.1", latency, chunkSize: 40, strict: true });
  const cache = createPrefixCache();
  const cachedById = new Map<string, number>();
  let answers = 0;

  function respond(request: ChatCompletionRequest): FixtureResponse {
    if (request.model !== servedName) return refusal(404, `The model \`${request.model}\` does not exist.`);
    const messages = request.messages.map(toText);
    const { prompt, cached } = cache.count(messages, JSON.stringify(request.tools ?? []));
    const wanted = request.max_tokens ?? 0;
    if (prompt + wanted > contextTokens) return refusal(400, overflowMessage({ contextTokens, wanted, prompt }));
    const answer = answerFor(scripts, messages);
    if (answer.kind === "off-script") {
      onOffScript?.(answer.message);
      return refusal(400, answer.message);
    }
    const id = `chatcmpl-${++answers}`;
    cachedById.set(id, cached);
    const completion = tokensOf(answer.say + JSON.stringify(answer.calls));
    const usage = { prompt_tokens: prompt, completion_tokens: completion };
    const toolCalls = answer.calls.map((call, index) => ({ ...call, id: `call-${answer.turn}-${index}` }));
    if (toolCalls.length === 0) return { id, usage, content: answer.say };
    return answer.say === "" ? { id, usage, toolCalls } : { id, usage, content: answer.say, toolCalls };
  }

  mock.on({ predicate: () => true, endpoint: "chat" }, respond);
  speakAsVllm(mock, { name: servedName, contextTokens, cachedById });
  const url = `${await mock.start()}/v1`;

  return {
    url,
    name: servedName,
    get requests() {
      return mock
        .getRequests()
        .map((entry) => entry.body)
        .filter(isChatCompletionBody);
    },
    failNext(status, message) {
      mock.nextRequestError(status, { message });
    },
    async [Symbol.asyncDispose]() {
      await mock.stop();
    },
  };
}

function toText({ role, content, tool_calls: calls }: ChatMessage): WireMessage {
  const said = typeof content === "string" ? content : (content ?? []).map((part) => part.text ?? "").join("");
  return { role, text: calls === undefined ? said : said + JSON.stringify(calls) };
}
