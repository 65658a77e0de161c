/** What the server in the other process is told by the id of a run. */
export interface Session {
  id: number;
  /** Which answer of the recording comes first. */
  from: number;
  /** How long each takes. */
  answerMs: number;
}

export function sessionName({ id, from, answerMs }: Session): string {
  return [id, from, answerMs].join("-");
}

export function parseSession(name: string): Session {
  const [id = 0, from = 0, answerMs = 0] = name.split("-").map(Number);
  return { id, from, answerMs };
}
