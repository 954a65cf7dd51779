// Ways of a local command to the log and to a fresh state, as promises: they are rare, a closure each does no harm.

import type { Reply } from '../../machine/reply.js';
import { KvError } from '../../errors.js';
import type { RespShared } from '../resp-shared.js';

/** Sends what was put into `shared.items`. @throws KvError */
export function submitAll(shared: RespShared): Promise<readonly Reply[]> {
  const items = shared.items.take();
  return new Promise((resolve, reject) => {
    shared.backend.submit(items, (error, replies) => {
      if (error === null) resolve(replies!);
      else reject(error);
    });
  });
}

/** Runs `look` on a state fresh enough for a linearizable read. @throws KvError */
export function lookFresh<T>(shared: RespShared, look: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    shared.backend.read((error) => {
      if (error !== null) {
        reject(error);
        return;
      }
      try {
        resolve(look());
      } catch (cause) {
        reject(cause instanceof Error ? cause : new KvError('KV_CLOSED', String(cause)));
      }
    });
  });
}
