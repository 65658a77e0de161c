/** What a command wrote, as text: head and tail, with a note of what is left out between. */
export interface Output {
  text: string;
  /** How much it wrote in all; of many megabytes in a sandbox, about how much. */
  bytes: number;
  truncated: boolean;
}

/** Joins head and tail of `bytes` bytes in all; characters that the cut went through are left out. */
export function renderOutput(head: Buffer, tail: Buffer, bytes: number): Output {
  if (head.length + tail.length >= bytes) {
    return { text: Buffer.concat([head, tail]).toString("utf8"), bytes, truncated: false };
  }
  const first = head.subarray(0, endOfLastCharacter(head));
  const last = tail.subarray(startOfFirstCharacter(tail));
  const note = `\n[... ${bytes - first.length - last.length} bytes left out ...]\n`;
  return { text: first.toString("utf8") + note + last.toString("utf8"), bytes, truncated: true };
}

/** Keeps head and tail of a stream in at most `maxBytes` bytes. */
export function createCollector(maxBytes: number): { add(chunk: Buffer): void; output(): Output } {
  const half = Math.floor(maxBytes / 2);
  const head: Buffer[] = [];
  let tail: Buffer[] = [];
  let headLength = 0;
  let tailLength = 0;
  let bytes = 0;

  function add(chunk: Buffer): void {
    bytes += chunk.length;
    const begin = chunk.subarray(0, half - headLength);
    if (begin.length > 0) head.push(Buffer.from(begin));
    headLength += begin.length;
    const rest = chunk.subarray(begin.length);
    if (rest.length === 0) return;
    tail.push(Buffer.from(rest));
    tailLength += rest.length;
    if (tailLength > 4 * half + 65_536) {
      tail = [Buffer.from(Buffer.concat(tail).subarray(-half))];
      tailLength = half;
    }
  }

  function output(): Output {
    const end = Buffer.concat(tail);
    return renderOutput(Buffer.concat(head), end.subarray(Math.max(0, end.length - half)), bytes);
  }

  return { add, output };
}

function startOfFirstCharacter(bytes: Buffer): number {
  let start = 0;
  while (start < Math.min(3, bytes.length) && isContinuation(bytes[start])) start++;
  return start;
}

function endOfLastCharacter(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(4, bytes.length); back++) {
    const byte = bytes[bytes.length - back];
    if (byte === undefined || isContinuation(byte)) continue;
    return lengthOfCharacter(byte) > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

function lengthOfCharacter(first: number): number {
  if (first >= 0xf0) return 4;
  if (first >= 0xe0) return 3;
  return first >= 0xc0 ? 2 : 1;
}
