/** One word for a POSIX shell, whatever it contains (but NUL). */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Bytes as the quoted format of one `printf`: every byte comes out as it is. */
export function quoteFormat(bytes: Uint8Array): Buffer {
  const parts: (string | Buffer)[] = [];
  let plainFrom = 0;
  for (let index = 0; index < bytes.length; index++) {
    const escaped = escapes.get(bytes[index] ?? 0);
    if (escaped === undefined) continue;
    parts.push(Buffer.from(bytes.subarray(plainFrom, index)), escaped);
    plainFrom = index + 1;
  }
  parts.push(Buffer.from(bytes.subarray(plainFrom)));
  return Buffer.concat(["'", ...parts, "'"].map((part) => (typeof part === "string" ? Buffer.from(part) : part)));
}

// A leading "-" would be an option of printf.
const escapes = new Map<number, string>([
  [0, "\\000"],
  [0x25, "%%"],
  [0x27, "'\\''"],
  [0x2d, "\\055"],
  [0x5c, "\\\\"],
]);
