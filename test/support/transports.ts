// The one list from which the whole suite takes its transports, and where a server runs.
// A behaviour is declared once and becomes one test per transport (and per placement), so that a transport
// which joins the list has to keep every promise of the others.

import { TRANSPORTS, type TransportName } from '../../reactor/index.js';
import { loadAddon } from '../../addon/index.js';

export { TRANSPORTS, type TransportName };

/** Where the sub-reactor runs: 0, in the calling thread; 1, in a thread of its own. */
export interface Placement {
  readonly transport: TransportName;
  readonly threads: number;
}

/** Calls `declare` for every transport; put its name into the titles. */
export function forEachTransport(declare: (transport: TransportName) => void): void {
  for (const transport of TRANSPORTS) declare(transport);
}

/** Those that speak TLS; the others refuse it in words. */
export const TLS_TRANSPORTS: readonly TransportName[] = TRANSPORTS.filter((name) => name === 'net');

/** The same for behaviours over TLS. */
export function forEachTlsTransport(declare: (transport: TransportName) => void): void {
  for (const transport of TLS_TRANSPORTS) declare(transport);
}

/** The same on the calling thread and, where descriptors can be handed over, on a thread of its own. */
export function forEachPlacement(declare: (placement: Placement, name: string) => void): void {
  for (const transport of TRANSPORTS) {
    for (const threads of loadAddon() === null ? [0] : [0, 1]) {
      declare({ transport, threads }, `${transport}, threads ${threads}`);
    }
  }
}
