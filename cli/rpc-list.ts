// `reactor-net rpc list`: one service per line, or the methods of one.

import type { Io } from './main.js';
import { withContract } from './rpc-session.js';
import type { ListOptions } from './rpc-tool-command.js';

/** @returns the exit code. @throws RpcError */
export function rpcList(options: ListOptions, io: Io): Promise<number> {
  const { service, json } = options;
  return withContract(options, service, io, ({ types }) => {
    const say = (facts: object, text: string): void => {
      io.stdout.write(`${json ? JSON.stringify(facts) : text}\n`);
    };
    if (service === null) {
      for (const name of [...types.services.keys()].toSorted()) say({ event: 'service', name }, name);
      return 0;
    }
    for (const { name, path, kind } of Object.values(types.service(service).methods))
      say({ event: 'method', name, path, kind }, `${service}/${name}`);
    return 0;
  });
}
