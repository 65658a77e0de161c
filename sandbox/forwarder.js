// Runs in a helper container that has loopback and its own streams: whoever shares its network namespace reaches the
// egress proxy at 127.0.0.1:3128, and nothing else. What connects there becomes a stream of one HTTP/2 session.
import http2 from "node:http2";
import net from "node:net";
import { Duplex } from "node:stream";

const stdout = new net.Socket({ fd: 1, readable: false });
const channel = Duplex.from({ readable: process.stdin, writable: stdout });
const server = net.createServer({ allowHalfOpen: true });
server.listen(3128, "127.0.0.1", () => {
  const session = http2.connect("http://proxy", {
    createConnection: () => channel,
    settings: { enablePush: false, initialWindowSize: 2 ** 18 },
  });
  session.on("connect", () => session.setLocalWindowSize(2 ** 24));
  session.on("error", (error) => console.error(error.message));
  session.on("close", () => {
    server.close();
    channel.destroy();
  });
  server.on("connection", (inside) => {
    const outside = session.request({ ":method": "CONNECT", ":authority": "proxy" });
    inside.pipe(outside).pipe(inside);
    inside.on("error", () => outside.destroy());
    outside.on("error", () => inside.destroy());
    inside.on("close", () => outside.close());
    outside.on("close", () => inside.destroySoon());
  });
});
