// Opens one RPC connection to one instance: a TCP, TLS or Unix connection, then HELLO both ways.
// rpc-client.ts gives it to the pool as its dialler; everything that is begun here is undone when `signal` aborts.

import {
  type Connection,
  type EventLoop,
  ReactorError,
  TcpClient,
  type TlsClientOptions,
  type TransportName,
} from '../../reactor/index.js';
import { RpcError } from '../errors.js';
import type { Instance } from '../instance.js';
import { FRAME_BODY_BYTES_MAX, OUTPUT_BYTES_MAX } from '../limits.js';
import { ClientSession } from '../session/client-session.js';
import type { SessionLimits } from '../session/session-options.js';

export interface DialOptions {
  readonly session: SessionLimits;
  readonly transport: TransportName;
  readonly tls: TlsClientOptions | null;
  readonly token: string;
  readonly agent: string;
  /** Null: the loop that the clients of this thread share. */
  readonly loop: EventLoop | null;
  /** The dial itself is bounded by the pool, through `signal`. */
  readonly connectTimeoutMs: number;
}

/** @throws RpcError RPC_CONNECT_FAILED and what ClientSession.greet rejects with; surely nothing was executed */
export async function dialSession(
  instance: Instance,
  options: DialOptions,
  signal: AbortSignal,
): Promise<ClientSession> {
  const client = clientFor(instance, options);
  const onAbort = (): void => client.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const connection = await client.connect().catch((cause: unknown) => {
      throw connectFailed(instance, cause, signal);
    });
    const session = new ClientSession(linkOf(connection, client), connection.loop, options.session, options);
    connection.context = session;
    await session.greet();
    return session;
  } catch (error) {
    client.destroy();
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function clientFor(instance: Instance, options: DialOptions): TcpClient {
  const sessionOf = (connection: Connection): ClientSession | undefined =>
    connection.context as ClientSession | undefined; // dialSession puts it there once the connection is open
  try {
    return new TcpClient({
      ...(instance.path === undefined
        ? { host: instance.host, port: instance.port }
        : { path: instance.path }),
      transport: options.transport,
      ...(options.tls === null ? {} : { tls: options.tls }),
      ...(options.loop === null ? {} : { loop: options.loop }),
      codec: { kind: 'tlv', frameBytesMax: FRAME_BODY_BYTES_MAX },
      reconnect: false,
      connectTimeoutMs: options.connectTimeoutMs,
      hardCapBytes: OUTPUT_BYTES_MAX,
      pauseReadingWhenFull: false, // as in rpc-server.ts
      handlers: {
        onFrame: (connection, frame) => sessionOf(connection)?.receive(frame.msgId, frame.body),
        onDrain: (connection) => sessionOf(connection)?.drained(),
        onClose: (connection, reason) =>
          sessionOf(connection)?.lost(new RpcError('RPC_CONNECTION_LOST', `the connection ended: ${reason}`)),
      },
    });
  } catch (cause) {
    throw connectFailed(instance, cause, null);
  }
}

/** The client of a connection ends with it. */
function linkOf(connection: Connection, client: TcpClient): ConstructorParameters<typeof ClientSession>[0] {
  return {
    send: (msgId, body) => connection.send(msgId, body),
    flush: () => connection.flush(),
    end: () => void client.end(), // resolves when the connection has gone, of which onClose tells
    destroy: () => client.destroy(),
  };
}

function connectFailed(instance: Instance, cause: unknown, signal: AbortSignal | null): RpcError {
  const where = instance.path ?? `${instance.host}:${instance.port}`;
  const why =
    signal?.aborted === true ? 'it took too long' : cause instanceof Error ? cause.message : String(cause);
  const code =
    cause instanceof ReactorError && cause.code === 'REACTOR_OPTION_INVALID'
      ? 'RPC_OPTION_INVALID'
      : 'RPC_CONNECT_FAILED';
  return new RpcError(code, `cannot connect to ${where}: ${why}`, { cause, executed: 'no' });
}
