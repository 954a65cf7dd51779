// Errors between the layers: a KvError of the member becomes the status of a call, with the code as a detail; a client
// reads the detail back. kv-service.ts sends them, clients use failureOf().

import { RpcError, type RpcErrorCode } from '../../rpc/index.js';
import { KvError } from '../errors.js';
import { Failure } from '../proto/kv.js';

/** What a failed call says beside its status. */
export interface ToldFailure {
  /** A code of KvError, of this or a newer version. */
  readonly code: string;
  readonly message: string;
  /** Whom the member took for the leader; id 0: it knew none. */
  readonly leader: { readonly id: number; readonly address: string };
}

const TYPE_URL = 'type.googleapis.com/reactornet.kv.Failure';

/** Status, and whether the command may have been executed. What is not here is RPC_INTERNAL, unknown. */
const STATUSES: Readonly<Record<string, readonly [RpcErrorCode, 'no' | 'unknown']>> = {
  KV_NO_LEADER: ['RPC_UNAVAILABLE', 'no'],
  KV_NOT_LEADER: ['RPC_FAILED_PRECONDITION', 'no'],
  KV_CLUSTER_FOREIGN: ['RPC_FAILED_PRECONDITION', 'no'],
  KV_TIMEOUT: ['RPC_DEADLINE_EXCEEDED', 'no'],
  KV_OUTCOME_UNKNOWN: ['RPC_DEADLINE_EXCEEDED', 'unknown'],
  KV_QUEUE_FULL: ['RPC_RESOURCE_EXHAUSTED', 'no'],
  KV_BUSY: ['RPC_ABORTED', 'no'],
  KV_CLOSED: ['RPC_UNAVAILABLE', 'unknown'],
  KV_STORAGE_FAILED: ['RPC_UNAVAILABLE', 'unknown'],
  KV_MEMBER_INVALID: ['RPC_INVALID_ARGUMENT', 'no'],
  KV_REQUEST_INVALID: ['RPC_INVALID_ARGUMENT', 'no'],
  KV_REQUEST_TOO_LARGE: ['RPC_INVALID_ARGUMENT', 'no'],
  KV_RECORD_TOO_LARGE: ['RPC_INVALID_ARGUMENT', 'no'],
  KV_SESSION_EXPIRED: ['RPC_FAILED_PRECONDITION', 'no'],
  KV_WATCHES_FULL: ['RPC_RESOURCE_EXHAUSTED', 'no'],
  KV_QUOTA: ['RPC_RESOURCE_EXHAUSTED', 'no'],
  KV_HASH_UNKNOWN: ['RPC_NOT_FOUND', 'no'],
  KV_SNAPSHOTS_EXHAUSTED: ['RPC_RESOURCE_EXHAUSTED', 'no'],
};

export function rpcErrorOf(error: unknown, leader: { id: number; address: string }): RpcError {
  if (error instanceof RpcError) return error;
  if (!(error instanceof KvError)) {
    return new RpcError('RPC_INTERNAL', 'the member failed unexpectedly', { cause: error });
  }
  const { code, message } = error;
  const [status, executed] = STATUSES[code] ?? ['RPC_INTERNAL', 'unknown'];
  const encoded = Failure.codec('protobuf').encode({ code, message, leader });
  const value = new Uint8Array(encoded.bytes);
  encoded.writeTo(value, 0);
  return new RpcError(status, `${code}: ${message}`, {
    executed,
    cause: error,
    details: [{ typeUrl: TYPE_URL, value }],
  });
}

/** What the member said of a failed call; null when the call did not get as far as a member. */
export function failureOf(error: unknown): ToldFailure | null {
  if (!(error instanceof RpcError)) return null;
  const detail = error.details.find(({ typeUrl }) => typeUrl === TYPE_URL);
  if (detail === undefined) return null;
  const { code, message, leader } = Failure.codec('protobuf').decode(detail.value);
  return { code, message, leader: leader ?? { id: 0, address: '' } };
}
