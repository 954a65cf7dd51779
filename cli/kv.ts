// The area `kv`: hands each verb to the file that carries it out, which is loaded only then.

import type { KvOptions } from './kv-command.js';
import type { Io } from './main.js';

/** @returns the exit code */
export async function kv(options: KvOptions, io: Io): Promise<number> {
  switch (options.verb) {
    case 'serve': {
      const { kvServe } = await import('./kv-serve.js');
      return kvServe(options, io);
    }
    case 'local': {
      const { kvLocal } = await import('./kv-local.js');
      return kvLocal(options, io);
    }
    case 'get':
      return (await import('./kv-client.js')).kvGet(options, io);
    case 'put':
      return (await import('./kv-client.js')).kvPut(options, io);
    case 'append':
      return (await import('./kv-client.js')).kvAppend(options, io);
    case 'del':
      return (await import('./kv-client.js')).kvDel(options, io);
    case 'cas':
      return (await import('./kv-client.js')).kvCas(options, io);
    case 'scan':
      return (await import('./kv-client.js')).kvScan(options, io);
    case 'watch':
      return (await import('./kv-watch.js')).kvWatch(options, io);
    case 'status':
      return (await import('./kv-admin.js')).kvStatus(options, io);
    case 'member':
      return (await import('./kv-member.js')).kvMember(options, io);
    case 'move':
      return (await import('./kv-member.js')).kvMove(options, io);
    case 'transfer':
      return (await import('./kv-admin.js')).kvTransfer(options, io);
    case 'snapshot':
      return (await import('./kv-admin.js')).kvSnapshot(options, io);
    case 'check':
      return (await import('./kv-admin.js')).kvCheck(options, io);
    case 'backup':
      return (await import('./kv-backup.js')).kvBackup(options, io);
    case 'restore':
      return (await import('./kv-backup.js')).kvRestore(options, io);
    default:
      return options satisfies never;
  }
}
