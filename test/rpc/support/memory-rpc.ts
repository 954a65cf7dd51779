// An RPC server and its connections in memory: the product's ThreadServer and sessions on a link that is an array,
// and on a clock that the test moves. A connection is fed frames and shows what the server sent.

import { BufferPool } from '../../../reactor/buffer-pool.js';
import { EventLoop } from '../../../reactor/event-loop.js';
import type { Connection, Handlers, SendOutcome } from '../../../reactor/index.js';
import { SharedBudget } from '../../../reactor/shared-budget.js';
import { ThreadMesh } from '../../../reactor/thread-mesh.js';
import type { ServiceImplementation } from '../../../rpc/call.js';
import { ThreadServer, type ThreadServerSpec } from '../../../rpc/server/thread-server.js';
import { ClientSession } from '../../../rpc/session/client-session.js';
import type { ServerSession } from '../../../rpc/session/server-session.js';
import type { SessionLink } from '../../../rpc/session/session.js';
import { resolveSessionOptions, type SessionOptions } from '../../../rpc/session/session-options.js';
import { RpcError } from '../../../rpc/index.js';
import { echoService } from './echo.js';
import type { WireFrame } from './wire-frames.js';

/** A loop that nothing drives: timers fire when the test moves the clock and real time has passed as well. */
export class MemoryLoop {
  readonly loop: EventLoop;
  nowMs: number = 1_000_000;
  readonly #close: () => void;

  constructor() {
    const mesh = ThreadMesh.create({ threads: 0 });
    const pool = new BufferPool({}, 0, SharedBudget.create(64 * 1024 * 1024, 1));
    this.loop = new EventLoop(mesh.seat, pool, { nowMs: () => this.nowMs });
    this.#close = () => {
      this.loop.close();
      mesh.close();
      pool.close();
    };
  }

  close(): void {
    this.#close();
  }
}

/** One side's link: keeps what is sent. */
export class MemoryLink implements SessionLink {
  readonly sent: WireFrame[] = [];
  context: unknown = undefined;
  readonly remoteAddress = '127.0.0.1';
  readonly remotePort = 1;
  readonly peerCertificate = null;
  /** How the session gave it up: null while it did not. */
  closedBy: 'end' | 'destroy' | null = null;
  /** Sends answer 'full'. */
  isFull: boolean = false;

  send(msgId: number, body: Uint8Array): SendOutcome {
    if (this.closedBy !== null) return 'closed';
    this.sent.push({ msgId, body: Buffer.from(body) });
    return this.isFull ? 'full' : 'sent';
  }

  flush(): void {} // it holds nothing back

  end(): void {
    this.closedBy ??= 'end';
  }

  destroy(): void {
    this.closedBy ??= 'destroy';
  }

  /** Takes what was sent since the last time. */
  take(): WireFrame[] {
    return this.sent.splice(0);
  }
}

export class MemoryServer {
  readonly memory: MemoryLoop = new MemoryLoop();
  readonly server: ThreadServer;
  readonly #handlers: Handlers;

  constructor(services: readonly ServiceImplementation[] = [echoService()], options: SessionOptions = {}) {
    const spec: ThreadServerSpec = {
      key: 'memory',
      agent: 'reactor-net',
      session: resolveSessionOptions(options),
      tokens: [],
      connectionAgeMs: 0,
    };
    this.server = new ThreadServer(this.memory.loop, spec);
    this.server.bind({ services });
    this.#handlers = this.server.handlers();
  }

  connect(): { link: MemoryLink; session: ServerSession } {
    const link = new MemoryLink();
    this.#handlers.onConnect?.(link as unknown as Connection); // as much of one as the RPC layer uses
    return { link, session: link.context as ServerSession };
  }

  close(): void {
    this.memory.close();
  }
}

export function memoryClient(
  memory: MemoryLoop,
  options: SessionOptions = {},
): { link: MemoryLink; session: ClientSession } {
  const link = new MemoryLink();
  const session = new ClientSession(link, memory.loop, resolveSessionOptions(options), {
    agent: 'test',
    token: '',
  });
  return { link, session };
}

/** Carries frames both ways until nobody has anything to say, with a turn of the loop in between for handlers. */
export async function carry(
  client: { link: MemoryLink; session: ClientSession },
  server: { link: MemoryLink; session: ServerSession },
): Promise<void> {
  for (let quiet = 0; quiet < 3; ) {
    const toServer = client.link.take();
    const toClient = server.link.take();
    for (const { msgId, body } of toServer) server.session.receive(msgId, body);
    for (const { msgId, body } of toClient) client.session.receive(msgId, body);
    if (client.link.closedBy !== null) server.session.lost(gone());
    if (server.link.closedBy !== null) client.session.lost(gone());
    quiet = toServer.length + toClient.length === 0 ? quiet + 1 : 0;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function gone(): RpcError {
  return new RpcError('RPC_CONNECTION_LOST', 'the connection ended: peer-reset');
}
