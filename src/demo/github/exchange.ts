/** One REST call on the embedded GitHub as it went over the wire: what a test holds against GitHub's description. */
export interface Exchange {
  method: string;
  /** Without the `/api/v3` prefix and the query. */
  path: string;
  query: Record<string, string>;
  /** Of the response. */
  mediaType: string;
  /** The parsed request body, if it was JSON. */
  body: unknown;
  status: number;
  /** The parsed response body, if it is JSON. */
  answer: unknown;
}
