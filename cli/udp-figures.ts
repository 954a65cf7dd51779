// Enters what the UDP server of `reactor-net serve` has counted into the shared counters, for metrics and live stats.
// serve-app.ts does so whenever somebody looks; the figures stand in the main thread's row.

import {
  type CounterRow,
  DATAGRAMS_DROPPED,
  DATAGRAMS_RECEIVED,
  DATAGRAMS_SENT,
  type ReactorErrorCode,
  type UdpStats,
} from '../reactor/index.js';

/** What counts as an error of which code. */
const ERRORS: readonly (readonly [ReactorErrorCode, keyof UdpStats])[] = [
  ['REACTOR_FRAME_MALFORMED', 'malformed'],
  ['REACTOR_FRAME_TOO_LARGE', 'oversized'],
  ['REACTOR_UNKNOWN_MSG_ID', 'unknownMsgIds'],
  ['REACTOR_HANDLER_FAILED', 'handlerErrors'],
  ['REACTOR_SEND_FAILED', 'sendErrors'],
  ['REACTOR_QUEUE_FULL', 'sendsDropped'],
];

export class UdpFigures {
  readonly #row: CounterRow;
  #last: UdpStats | null = null;

  constructor(row: CounterRow) {
    this.#row = row;
  }

  /** The row has errors of others too, so only what is new is added. */
  enter(stats: UdpStats): void {
    const { values } = this.#row;
    values[DATAGRAMS_RECEIVED] = stats.datagramsReceived;
    values[DATAGRAMS_SENT] = stats.datagramsSent;
    values[DATAGRAMS_DROPPED] = stats.malformed + stats.oversized + stats.sendsDropped + stats.sendErrors;
    for (const [code, name] of ERRORS) {
      const before = this.#last?.[name] ?? 0;
      // Less than before: its thread was started again, and counts from 0.
      const added = stats[name] >= before ? stats[name] - before : stats[name];
      this.#row.countError(code, added);
    }
    this.#last = stats;
  }
}
