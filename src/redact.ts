const patterns = [
  /gh[pousr]_[A-Za-z0-9._-]{20,}/g,
  /github_pat_[A-Za-z0-9_]{20,}/g,
  /\bAKIA[0-9A-Z]{16}\b/g,
  /\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/g,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/g,
];

export type Redact = (text: string) => string;

/**
 * Replaces known secrets (also base64, hex and URL encoded) and whatever looks like a token. Values under 8 characters
 * are left: they would blank out ordinary words.
 */
export function createRedact(secrets: readonly string[]): Redact {
  const forms = new Set(secrets.filter((secret) => secret.length >= 8).flatMap(encodings));
  const exact = [...forms].sort((a, b) => b.length - a.length);
  return (text) => {
    let clean = text;
    for (const secret of exact) clean = clean.replaceAll(secret, "[secret]");
    for (const pattern of patterns) clean = clean.replace(pattern, "[secret]");
    return clean;
  };
}

function encodings(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const json = JSON.stringify(secret).slice(1, -1);
  return [
    secret,
    json,
    bytes.toString("base64"),
    bytes.toString("base64url"),
    bytes.toString("hex"),
    bytes.toString("hex").toUpperCase(),
    encodeURIComponent(secret),
    ...insideBase64(bytes),
  ];
}

// `user:secret` in base64 holds the secret at one of three offsets; these are the letters that its neighbours do not change.
function insideBase64(bytes: Buffer): string[] {
  return [0, 1, 2].map((offset) => {
    const shifted = Buffer.concat([Buffer.alloc(offset), bytes]);
    const letters = [Math.ceil((offset * 8) / 6), Math.floor((shifted.length * 8) / 6)] as const;
    return shifted.toString("base64").slice(...letters);
  });
}
