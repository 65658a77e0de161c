import { Duplex } from "node:stream";

const headerLength = 8;

/** Splits the engine's one stream into stdout and stderr, chunk by chunk, holding at most one header back. */
export function createDemux(onData: (source: "stdout" | "stderr", chunk: Buffer) => void): (chunk: Buffer) => void {
  let header = Buffer.alloc(0);
  let source: "stdout" | "stderr" = "stdout";
  let left = 0;

  return (chunk) => {
    let rest = chunk;
    while (rest.length > 0) {
      if (left > 0) {
        const part = rest.subarray(0, left);
        left -= part.length;
        rest = rest.subarray(part.length);
        onData(source, part);
        continue;
      }
      const missing = headerLength - header.length;
      header = Buffer.concat([header, rest.subarray(0, missing)]);
      rest = rest.subarray(missing);
      if (header.length < headerLength) return;
      source = header[0] === 2 ? "stderr" : "stdout";
      left = header.readUInt32BE(4);
      header = Buffer.alloc(0);
    }
  };
}

/** The container's stdin and stdout as one stream, with pressure back on both ways; what it says on stderr goes apart. */
export function duplexOf(stream: Duplex, onStderr: (chunk: Buffer) => void): Duplex {
  const channel = new Duplex({
    read: () => void stream.resume(),
    write: (chunk: Buffer, _encoding, done) => void stream.write(chunk, done),
    final: (done) => void stream.end(done),
    destroy(error, done) {
      stream.destroy();
      done(error);
    },
  });
  const demux = createDemux((source, chunk) => {
    if (source === "stderr") onStderr(chunk);
    else if (!channel.push(chunk)) stream.pause();
  });
  stream.on("data", demux);
  stream.on("end", () => channel.push(null));
  stream.on("close", () => channel.destroy());
  stream.on("error", () => channel.destroy());
  return channel;
}
