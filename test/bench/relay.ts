import { once } from "node:events";
import { createServer, request as send } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";

/** A server in front of another, as far away as `delayOf` says of each request. */
export interface Relay extends AsyncDisposable {
  url: string;
  /** Requests wait until it is told where they go. */
  leadTo(url: string): void;
}

export async function startRelay(delayOf: (request: IncomingMessage) => number): Promise<Relay> {
  const target = Promise.withResolvers<string>();
  const server = createServer((request, response) => {
    // What is on the other side may end before what asked it.
    relay(request, response).catch(() => response.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  async function relay(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const there = await target.promise;
    await delay(delayOf(request));
    const { method, headers } = request;
    const onward = send(`${there}${request.url ?? "/"}`, {
      method,
      headers: { ...headers, host: new URL(there).host },
    });
    request.pipe(onward);
    const [answer] = (await once(onward, "response")) as [IncomingMessage];
    const isApi = headersOf(answer, "content-type").includes("json");
    if (!isApi) {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
      return;
    }
    // Addresses in answers lead here again.
    const here = (said: string) => said.replaceAll(there, url);
    const body = here(await text(answer));
    const { "content-length": _length, "transfer-encoding": _coding, ...rest } = answer.headers;
    const link = answer.headers.link === undefined ? {} : { link: here(String(answer.headers.link)) };
    response.writeHead(answer.statusCode ?? 502, { ...rest, ...link }).end(body);
  }

  return {
    url,
    leadTo: (to) => target.resolve(to),
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

function headersOf(answer: IncomingMessage, name: string): string {
  return String(answer.headers[name] ?? "");
}
