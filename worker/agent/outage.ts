import type { ModelError } from "./model.ts";

export type Seat = PromiseWithResolvers<void>;

/** A time in which the server is away. */
export interface Outage {
  error: ModelError;
  tries: number;
  /** What the requests that tried lost to it, one after the other, in milliseconds. */
  lostMs: number;
  /** Held by the request that tries, and resolved when it is done, well or not. */
  seat: Seat | undefined;
}

/** Who may try while the server is away: one request, and the others only behind it. */
export interface Outages {
  present(): Outage | undefined;
  /** The outage, if it is this holder who tries. */
  ledBy(holder: { seat: Seat | undefined }): Outage | undefined;
  begin(error: ModelError): void;
  /** The server is back: everyone goes on. */
  end(): void;
  /** Takes the seat where there is one and it is free. */
  lead(holder: { seat: Seat | undefined }): void;
  leave(holder: { seat: Seat | undefined }): void;
}

export function createOutages(): Outages {
  let outage: Outage | undefined;
  return {
    present: () => outage,
    ledBy: ({ seat }) => (seat !== undefined && outage?.seat === seat ? outage : undefined),
    begin(error) {
      outage ??= { error, tries: 0, lostMs: 0, seat: undefined };
    },
    end() {
      outage?.seat?.resolve();
      outage = undefined;
    },
    lead(holder) {
      if (outage === undefined || outage.seat !== undefined) return;
      holder.seat = Promise.withResolvers();
      outage.seat = holder.seat;
    },
    leave({ seat }) {
      if (seat === undefined) return;
      if (outage?.seat === seat) outage.seat = undefined;
      seat.resolve();
    },
  };
}
