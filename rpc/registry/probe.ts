// Asks the machine of an instance whether anybody listens there, when the registry doubts that silence means death.
// memory-store.ts calls it for instances whose expiry the guard holds back. It connects and hangs up, no more.

import { connect } from 'node:net';
import type { InstanceFacts } from './record.js';

/** 'refused': its machine answers and says that nobody listens. 'unknown' proves nothing. */
export type ProbeVerdict = 'listening' | 'refused' | 'unknown';
/** Never rejects. */
export type Probe = (facts: InstanceFacts) => Promise<ProbeVerdict>;

const PROBE_TIMEOUT_MS = 1000;

export const probeByConnect: Probe = ({ host, port, path }) =>
  new Promise((resolve) => {
    const socket = path === '' ? connect({ host, port }) : connect({ path });
    const finish = (verdict: ProbeVerdict): void => {
      socket.destroy();
      resolve(verdict);
    };
    socket.setTimeout(PROBE_TIMEOUT_MS, () => finish('unknown'));
    socket.once('connect', () => finish('listening'));
    socket.once('error', ({ code }: NodeJS.ErrnoException) => {
      const isRefusal = code === 'ECONNREFUSED' || (path !== '' && code === 'ENOENT');
      finish(isRefusal ? 'refused' : 'unknown');
    });
  });
