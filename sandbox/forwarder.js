// Runs in a helper container that has loopback and one unix socket: whoever shares its network namespace
// reaches the egress proxy at 127.0.0.1:3128, and nothing else.
import net from "node:net";

const server = net.createServer({ allowHalfOpen: true }, (inside) => {
  const outside = net.connect({ path: "/run/egress/p", allowHalfOpen: true });
  inside.pipe(outside).pipe(inside);
  inside.on("error", () => outside.destroy());
  outside.on("error", () => inside.destroy());
});
server.listen(3128, "127.0.0.1", () => console.log("ready"));
