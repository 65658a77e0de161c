import type { ServerResponse } from "node:http";
import type { FixtureResponse, LLMock } from "@copilotkit/aimock";

/** What vLLM says otherwise than the server that we build on: its list of models, its errors, its count of cached tokens. */
export function speakAsVllm(
  mock: LLMock,
  { name, contextTokens, cachedById }: { name: string; contextTokens: number; cachedById: Map<string, number> },
): void {
  mock.mount("/v1/models", {
    async handleRequest(_request, response) {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify(modelList(name, contextTokens)));
      return true;
    },
  });
  mock.mount("/v1/chat/completions", {
    async handleRequest(_request, response) {
      addDetails(response, cachedById);
      return false;
    },
  });
}

/** An answer with an error of this status. */
export function refusal(status: number, message: string): FixtureResponse {
  return { status, error: { message, type: status === 404 ? "NotFoundError" : "BadRequestError" } };
}

/** What vLLM says when a request does not fit into the window. */
export function overflowMessage({
  contextTokens,
  wanted,
  prompt,
}: {
  contextTokens: number;
  wanted: number;
  prompt: number;
}) {
  return `This model's maximum context length is ${contextTokens} tokens. However, you requested ${wanted} output tokens and your prompt contains at least ${prompt} input tokens, for a total of at least ${prompt + wanted} tokens. Please reduce the length of the input prompt or the number of requested output tokens.`;
}

function modelList(name: string, contextTokens: number) {
  const model = { id: name, object: "model", owned_by: "vllm", root: name, parent: null };
  return { object: "list", data: [{ ...model, max_model_len: contextTokens }] };
}

// aimock leaves details out of `usage`, and writes error bodies in OpenAI's form.
function addDetails(response: ServerResponse, cachedById: Map<string, number>): void {
  const write = response.write.bind(response);
  const end = response.end.bind(response);
  response.write = ((chunk: unknown, ...rest: []) =>
    write(typeof chunk === "string" ? withDetails(chunk, cachedById) : chunk, ...rest)) as typeof response.write;
  response.end = ((body?: unknown, ...rest: []) =>
    end(typeof body === "string" ? withCode(body, response.statusCode) : body, ...rest)) as typeof response.end;
}

function withDetails(event: string, cachedById: Map<string, number>): string {
  if (!event.startsWith("data: {")) return event;
  const chunk = JSON.parse(event.slice("data: ".length)) as { id: string; usage?: object };
  if (chunk.usage === undefined) return event;
  const details = { prompt_tokens_details: { cached_tokens: cachedById.get(chunk.id) ?? 0 } };
  cachedById.delete(chunk.id);
  return `data: ${JSON.stringify({ ...chunk, usage: { ...chunk.usage, ...details } })}\n\n`;
}

function withCode(body: string, status: number): string {
  if (status < 400) return body;
  const { error } = JSON.parse(body) as { error: { message: string; type: string } };
  return JSON.stringify({ error: { message: error.message, type: error.type, param: null, code: status } });
}
