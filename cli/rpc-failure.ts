// How a failed call is told: to people as a few lines, to programs as one JSON line, both on standard error; and the exit
// code that goes with it. The tools of the area `rpc` end here when they fail.

import { RpcError, type RpcErrorCode, type MetadataValue, type ProtoPackage, STATUS } from '../rpc/index.js';
import { EXIT_FAILED, EXIT_UNREACHABLE, type Io } from './main.js';

/** Nobody was reached: nothing that a server said. */
const UNREACHED: ReadonlySet<RpcErrorCode> = new Set([
  'RPC_CONNECT_FAILED',
  'RPC_NO_INSTANCE',
  'RPC_ALL_EJECTED',
  'RPC_ALL_CONNECTING',
  'RPC_HELLO_TIMEOUT',
  'RPC_POOL_TIMEOUT',
  'RPC_RESOLVE_FAILED',
]);

export function isUnreached({ code, executed }: RpcError): boolean {
  return UNREACHED.has(code) || (code === 'RPC_DEADLINE_EXCEEDED' && executed === 'no');
}

/** As a JSON line has it; also of each kind of error that a bench counts. */
export interface FailureFacts {
  readonly event: 'error';
  readonly code: RpcErrorCode;
  readonly status: string;
  readonly statusNumber: number;
  readonly message: string;
  readonly executed: 'no' | 'unknown';
  readonly attempts: number;
  readonly details: readonly unknown[];
  readonly trailers: MetadataObject;
}

/** Values of a key that has several are a list; bytes are base64. */
export type MetadataObject = Readonly<Record<string, string | readonly string[]>>;

/** @param types where the types of details are looked up; null when there are none */
export function failureFacts(error: RpcError, types: ProtoPackage | null): FailureFacts {
  return {
    event: 'error',
    code: error.code,
    status: error.status,
    statusNumber: STATUS[error.status],
    message: error.message,
    executed: error.executed,
    attempts: error.attempts,
    details: error.details.map(({ typeUrl, value }) => detailToJson(typeUrl, value, types)),
    trailers: metadataToJson(error.trailers ?? []),
  };
}

export function metadataToJson(metadata: Iterable<readonly [string, MetadataValue]>): MetadataObject {
  const lists = new Map<string, string[]>();
  for (const [name, value] of metadata) {
    const text = typeof value === 'string' ? value : Buffer.from(value).toString('base64');
    lists.set(name, [...(lists.get(name) ?? []), text]);
  }
  return Object.fromEntries(
    Array.from(lists, ([name, list]) => [name, list.length === 1 ? list[0]! : list] as const),
  );
}

/** Prints it. @returns the exit code: 1, or 3 where nobody was reached */
export function reportFailure(error: RpcError, io: Io, json: boolean, types: ProtoPackage | null): number {
  const facts = failureFacts(error, types);
  if (json) io.stderr.write(`${JSON.stringify(facts)}\n`);
  else if (isUnreached(error)) io.stderr.write(`reactor-net: could not reach the server: ${error.message}\n`);
  else if (error.code === 'RPC_PROTO_INVALID') io.stderr.write(`reactor-net: ${error.message}\n`);
  else io.stderr.write(failureText(facts));
  return isUnreached(error) ? EXIT_UNREACHABLE : EXIT_FAILED;
}

export function failureText(facts: FailureFacts): string {
  const { status, statusNumber, code, message, executed, attempts, details, trailers } = facts;
  const lines = [
    ['status', `${status} (${statusNumber})${code === `RPC_${status}` ? '' : `, ${code}`}`],
    ['message', message.replaceAll('\n', '\n            ')],
    ['executed', executed],
    ...(attempts > 1 ? [['attempts', String(attempts)]] : []),
    ...details.map((detail) => ['detail', JSON.stringify(detail)]),
    ...Object.entries(trailers).map(([name, value]) => ['trailer', `${name}: ${String(value)}`]),
  ];
  return `the call failed\n${lines.map(([name, text]) => `  ${name!.padEnd(9)} ${text}\n`).join('')}`;
}

/** An Any in JSON: its fields where its type is known, else its bytes. */
function detailToJson(typeUrl: string, bytes: Uint8Array, types: ProtoPackage | null): unknown {
  const name = typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
  if (types?.schema.messages.has(name) === true) {
    try {
      const type = types.messageType(name);
      const json = type.toJson(type.codec('protobuf').decode(bytes));
      const isObject = typeof json === 'object' && json !== null && !Array.isArray(json);
      return isObject ? { '@type': typeUrl, ...json } : { '@type': typeUrl, value: json };
    } catch {
      // no message of that type after all: its bytes say what there is to say
    }
  }
  return { '@type': typeUrl, base64: Buffer.from(bytes).toString('base64') };
}
