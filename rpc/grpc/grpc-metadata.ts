// Metadata of ours to metadata of gRPC and back. Keys that belong to HTTP/2 or to gRPC itself do not cross.
// grpc-server-call.ts and grpc-client-call.ts use it in both directions; grpc-status.ts adds what says how a call ended.

import { Metadata as GrpcMetadata } from '@grpc/grpc-js';
import { RpcError } from '../errors.js';
import { METADATA_BYTES_MAX } from '../limits.js';
import { Metadata, type MetadataValue } from '../metadata.js';
import { checkMetadata, metadataBytes } from '../wire/metadata-block.js';

/** Sent with a request that repeats an earlier one, by grpc-js too: a decimal number. */
export const PREVIOUS_ATTEMPTS_KEY = 'grpc-previous-rpc-attempts';

/** HTTP/2 forbids some of these in a call, and gRPC needs the others for itself: Node would end the process's stream. */
const HTTP_KEYS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'content-type',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** Of gRPC's own prefix these two are for applications: context of older tracing libraries. */
const OPEN_GRPC_KEYS: ReadonlySet<string> = new Set(['grpc-trace-bin', 'grpc-tags-bin']);
/** Added by Node's HTTP/2 server by itself. */
const DATE_KEY = 'date';

function isReserved(key: string): boolean {
  return HTTP_KEYS.has(key) || (key.startsWith('grpc-') && !OPEN_GRPC_KEYS.has(key));
}

/** @throws RpcError RPC_INVALID_ARGUMENT: gRPC or HTTP/2 keeps a key for itself; RPC_METADATA_TOO_LARGE */
export function toGrpcMetadata(metadata: Metadata | null, what: 'request' | 'response'): GrpcMetadata {
  const result = new GrpcMetadata();
  if (metadata === null || metadata.size === 0) return result;
  checkMetadata(metadata, metadataBytes(metadata), METADATA_BYTES_MAX, what);
  for (const [key, value] of metadata) {
    if (isReserved(key)) {
      throw new RpcError('RPC_INVALID_ARGUMENT', `metadata key '${key}' belongs to HTTP/2 or gRPC itself`, {
        executed: 'no',
      });
    }
    result.add(key, toGrpcValue(value));
  }
  return result;
}

/**
 * The same for what is sent behind an error, which must go out whatever else is wrong: reserved keys stay here, and so
 * does all of it where it is too large.
 */
export function toErrorTrailers(metadata: Metadata | null): GrpcMetadata {
  const result = new GrpcMetadata();
  if (metadata === null || metadataBytes(metadata) > METADATA_BYTES_MAX) return result;
  for (const [key, value] of metadata) {
    if (!isReserved(key)) result.add(key, toGrpcValue(value));
  }
  return result;
}

/** Values of other alphabets, which our metadata has no place for, are left out. */
export function fromGrpcMetadata(received: GrpcMetadata): Metadata {
  const result = new Metadata();
  for (const [key, values] of Object.entries(received.toJSON())) {
    if (isReserved(key) || key === DATE_KEY) continue;
    for (const value of values) {
      try {
        result.add(key, value);
      } catch (error) {
        if (!(error instanceof RpcError)) throw error; // a stranger's header may be anything: it is not for us
      }
    }
  }
  return result;
}

/** Attempts that a client says it made before; 0 when it says nothing sensible. */
export function previousAttemptsOf(received: GrpcMetadata): number {
  const text = String(received.get(PREVIOUS_ATTEMPTS_KEY)[0] ?? '');
  return /^\d{1,3}$/.test(text) ? Number(text) : 0;
}

/** HTTP/2 refuses blanks around a value; gRPC lets them be dropped. */
function toGrpcValue(value: MetadataValue): string | Buffer {
  return typeof value === 'string'
    ? value.trim()
    : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}
