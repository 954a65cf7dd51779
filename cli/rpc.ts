// The area `rpc`: hands each verb to the file that carries it out, which is loaded only then.

import type { Io } from './main.js';
import type { RpcOptions } from './rpc-command.js';

/** @returns the exit code */
export async function rpc(options: RpcOptions, io: Io): Promise<number> {
  switch (options.verb) {
    case 'generate': {
      const { rpcGenerate } = await import('./rpc-generate.js');
      return rpcGenerate(options, io);
    }
    case 'check': {
      const { rpcCheck } = await import('./rpc-check.js');
      return rpcCheck(options, io);
    }
    case 'list': {
      const { rpcList } = await import('./rpc-list.js');
      return rpcList(options, io);
    }
    case 'describe': {
      const { rpcDescribe } = await import('./rpc-describe.js');
      return rpcDescribe(options, io);
    }
    case 'call': {
      const { rpcCall } = await import('./rpc-call.js');
      return rpcCall(options, io);
    }
    case 'bench': {
      const { rpcBench } = await import('./rpc-bench.js');
      return rpcBench(options, io);
    }
    default:
      return options satisfies never;
  }
}
