// `reactor-net rpc list`: one service per line, or the methods of one.

import { listServices } from '../rpc/index.js';
import type { Io } from './main.js';
import { askedOfServer } from './rpc-contract-source.js';
import { withContract, withServer } from './rpc-session.js';
import type { ListOptions } from './rpc-tool-command.js';

/** @returns the exit code. @throws RpcError */
export function rpcList(options: ListOptions, io: Io): Promise<number> {
  const { service, json, proto } = options;
  const say = (facts: object, text: string): void => {
    io.stdout.write(`${json ? JSON.stringify(facts) : text}\n`);
  };
  const saySorted = (names: Iterable<string>): number => {
    for (const name of [...names].toSorted()) say({ event: 'service', name }, name);
    return 0;
  };
  if (service === null && proto.length === 0) {
    // The names alone: some servers cannot describe everything they have.
    return withServer(options, io, async ({ caller, signal }) => {
      const server = await caller();
      return saySorted(await askedOfServer(options, signal, (call) => listServices(server, call)));
    });
  }
  return withContract(options, service, io, ({ types }) => {
    if (service === null) return saySorted(types.services.keys());
    for (const { name, path, kind } of Object.values(types.service(service).methods))
      say({ event: 'method', name, path, kind }, `${service}/${name}`);
    return 0;
  });
}
