// The commands of the area `rpc`: each verb declares its own in a file, and rpc.ts carries them out.

import type { CommandSpec } from './command-spec.js';
import {
  type CheckOptions,
  type GenerateFilesOptions,
  RPC_CONTRACT_COMMANDS,
} from './rpc-contract-command.js';
import {
  type CallToolOptions,
  type DescribeOptions,
  type ListOptions,
  RPC_TOOL_COMMANDS,
  type RpcBenchOptions,
} from './rpc-tool-command.js';

export type RpcOptions =
  | GenerateFilesOptions
  | CheckOptions
  | ListOptions
  | DescribeOptions
  | CallToolOptions
  | RpcBenchOptions;

export const RPC_COMMANDS: readonly CommandSpec[] = [...RPC_CONTRACT_COMMANDS, ...RPC_TOOL_COMMANDS];
