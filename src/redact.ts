/**
 * What tokens look like that nobody told us of, by what their services publish: GitHub, AWS, Google, Slack, Stripe, npm,
 * PyPI, GitLab, OpenAI, Anthropic, Hugging Face, Docker Hub, SendGrid, DigitalOcean, RubyGems, crates.io; RFC 7519 and 7468.
 * Each takes time in proportion to the text, whatever stands in it.
 */
export const tokenShapes: readonly { kind: string; pattern: RegExp }[] = [
  { kind: "a token of GitHub", pattern: /gh[pousr]_[A-Za-z0-9._-]{20,}/g },
  { kind: "a token of GitHub", pattern: /github_pat_[A-Za-z0-9_]{20,}/g },
  { kind: "a key of AWS", pattern: /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g },
  { kind: "a key of Google", pattern: /\bAIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])/g },
  { kind: "a token of Slack", pattern: /\bxox[abeoprs]-[0-9A-Za-z-]{20,}/g },
  { kind: "a web hook of Slack", pattern: /\bhooks\.slack\.com\/services\/T\w{6,20}\/B\w{6,20}\/\w{20,}/g },
  { kind: "a key of Stripe", pattern: /\b[rs]k_live_[0-9A-Za-z]{20,}/g },
  { kind: "a token of npm", pattern: /\bnpm_[0-9A-Za-z]{36}\b/g },
  { kind: "a token of PyPI", pattern: /\bpypi-AgEIcHlwaS5vcmc[\w-]{50,}/g },
  { kind: "a token of GitLab", pattern: /\bglpat-[\w-]{20,}/g },
  { kind: "a key of OpenAI", pattern: /\bsk-(?:proj|svcacct|admin)-[\w-]{40,}/g },
  { kind: "a key of Anthropic", pattern: /\bsk-ant-[a-z0-9]{3,10}-[\w-]{80,}/g },
  { kind: "a token of Hugging Face", pattern: /\bhf_[A-Za-z]{34}\b/g },
  { kind: "a token of Docker Hub", pattern: /\bdckr_pat_[\w-]{27,}/g },
  { kind: "a key of SendGrid", pattern: /\bSG\.[\w-]{22}\.[\w-]{43}(?![\w-])/g },
  { kind: "a token of DigitalOcean", pattern: /\bdo[opr]_v1_[0-9a-f]{64}\b/g },
  { kind: "a key of RubyGems", pattern: /\brubygems_[0-9a-f]{48}\b/g },
  { kind: "a JSON web token", pattern: /(?<![\w-])eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}/g },
  {
    kind: "a private key",
    pattern: /-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:(?!-----BEGIN )[\s\S])*?-----END [A-Z ]{0,40}PRIVATE KEY-----/g,
  },
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
    for (const { pattern } of tokenShapes) clean = clean.replace(pattern, "[secret]");
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
