import { once } from "node:events";
import { type ClientHttp2Session, connect, constants } from "node:http2";
import { type Duplex, duplexPair } from "node:stream";
import { onTestFinished, test, expect } from "vitest";
import { openSession } from "../../sandbox/forwarder.ts";

/** The forwarder's side of a session, and the connections that the other side took. */
async function joined(): Promise<{ inside: ClientHttp2Session; accepted: Duplex[] }> {
  const [near, far] = duplexPair();
  const accepted: Duplex[] = [];
  const outside = openSession(near, { accept: (connection) => void accepted.push(connection) });
  const inside = connect("http://proxy", { createConnection: () => far });
  onTestFinished(() => {
    inside.destroy();
    outside.destroy();
  });
  await once(inside, "remoteSettings");
  return { inside, accepted };
}

const asked = { ":method": "CONNECT", ":authority": "proxy" };

test("a connection that is opened and given up in one piece reaches nobody, and the next one is served", async () => {
  const { inside, accepted } = await joined();
  const givenUp = Array.from({ length: 50 }, () => {
    const connection = inside.request(asked);
    connection.on("error", () => {});
    connection.close(constants.NGHTTP2_CANCEL);
    return once(connection, "close");
  });
  await Promise.all(givenUp);

  const connection = inside.request(asked);
  const [headers] = (await once(connection, "response")) as [Record<string, unknown>];

  expect(headers[":status"]).toBe(200);
  expect(accepted).toHaveLength(1);
});

test("what does not ask for a connection is closed, and the session goes on", async () => {
  const { inside, accepted } = await joined();
  const page = inside.request({ ":method": "GET", ":path": "/" });
  await once(page, "close");

  const connection = inside.request(asked);
  await once(connection, "response");

  expect(accepted).toHaveLength(1);
});
