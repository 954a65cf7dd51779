// The answering side of the Peer service: other members' streams, whom they belong to and whether they may come in.
// rpc-transport.ts makes it; what arrives goes to the member as Raft messages.

import {
  detached,
  forEachMessage,
  implement,
  RpcError,
  type ServerCall,
  type ServiceImplementation,
} from '../../rpc/index.js';
import { NODE_ID_MAX, type NodeId, type RaftMessage } from '../raft/index.js';
import { decodeMessages, FORMAT_MAJOR, FORMAT_MINOR } from './message-codec.js';
import {
  type DescribeResponse,
  type HelloMessage,
  type JoinRequest,
  peerContract,
  type PeerRequest,
  type PeerResponse,
} from './peer-contract.js';
import type { PeerReceiver } from './peer-transport.js';

export interface PeerServiceParts {
  readonly clusterId: number;
  readonly id: NodeId;
  /** What the certificate of a member must be named, `{id}` standing for its id; null: nothing is asked. */
  readonly certificateName: string | null;
  readonly receive: PeerReceiver;
  readonly describe: () => DescribeResponse;
  /** @throws RpcError */
  readonly join: (request: JoinRequest) => Promise<void>;
  /** Somebody was turned away, or sent what cannot be read. */
  readonly onRefusal: (from: NodeId, error: RpcError) => void;
}

export class PeerService {
  readonly #parts: PeerServiceParts;
  readonly #open = new Set<AbortController>();
  #isStopping = false;

  constructor(parts: PeerServiceParts) {
    this.#parts = parts;
  }

  implementation(): ServiceImplementation {
    return implement(peerContract(), {
      exchange: (requests: AsyncIterable<PeerRequest>, call: ServerCall) => this.#exchange(requests, call),
      describe: () => this.#parts.describe(),
      join: async (request: JoinRequest, call: ServerCall) => {
        this.#checkCluster(request.clusterId);
        this.#checkCertificate(request.member?.id ?? 0, call);
        await this.#parts.join(request);
        return {};
      },
    });
  }

  get openStreams(): number {
    return this.#open.size;
  }

  /** Ends every stream; who comes now is turned away. */
  stop(): void {
    this.#isStopping = true;
    for (const stream of this.#open) stream.abort();
  }

  async *#exchange(
    requests: AsyncIterable<PeerRequest>,
    call: ServerCall,
  ): AsyncGenerator<PeerResponse, void, undefined> {
    if (this.#isStopping)
      throw new RpcError('RPC_SHUTTING_DOWN', 'this member is stopping', { executed: 'no' });
    const ending = new AbortController();
    this.#open.add(ending);
    const iterator = requests[Symbol.asyncIterator]();
    try {
      const ended = new Promise<null>((resolve) => {
        ending.signal.addEventListener('abort', () => resolve(null), { once: true });
      });
      const first = await Promise.race([iterator.next(), ended]);
      if (first === null) return;
      const hello = first.done === true ? undefined : first.value.hello;
      const from = this.#admit(hello, call);
      yield { welcome: { formatMajor: FORMAT_MAJOR, formatMinor: FORMAT_MINOR } };
      const address = hello?.address ?? '';
      const read = forEachMessage({ [Symbol.asyncIterator]: () => iterator }, (request: PeerRequest) =>
        this.#receive(request, from, address),
      );
      await Promise.race([read, ended]);
    } finally {
      this.#open.delete(ending);
      // Whether somebody still sends is of no interest; a stream that is over says so by itself.
      void Promise.resolve(iterator.return?.()).catch(() => undefined);
    }
  }

  /** @throws RpcError */
  #receive({ messages: bytes }: PeerRequest, from: NodeId, address: string): void {
    if (bytes === undefined || bytes.byteLength === 0) return;
    let messages: RaftMessage[];
    try {
      messages = decodeMessages(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    } catch (error) {
      throw this.#refused(
        from,
        'RPC_INVALID_ARGUMENT',
        error instanceof Error ? error.message : String(error),
      );
    }
    // Outside of this call: what the member does now is no part of it.
    detached(() => this.#parts.receive(from, messages, address));
  }

  #admit(hello: HelloMessage | undefined, call: ServerCall): NodeId {
    if (hello === undefined) throw this.#refused(0, 'RPC_INVALID_ARGUMENT', 'a stream begins with a Hello');
    const { id } = this.#parts;
    const { from, to, formatMajor } = hello;
    this.#checkCluster(hello.clusterId, from);
    if (formatMajor !== FORMAT_MAJOR) {
      throw this.#refused(
        from,
        'RPC_FAILED_PRECONDITION',
        `member ${from} speaks format ${formatMajor}, this one ${FORMAT_MAJOR}: upgrade in smaller steps`,
      );
    }
    if (to !== id) {
      throw this.#refused(
        from,
        'RPC_FAILED_PRECONDITION',
        `here is member ${id}, not ${to}: an address is wrong`,
      );
    }
    if (from < 1 || from > NODE_ID_MAX || from === id) {
      throw this.#refused(from, 'RPC_FAILED_PRECONDITION', `${from} is the id of no other member`);
    }
    this.#checkCertificate(from, call);
    return from;
  }

  /** Whoever says that it is a member has to show that member's certificate; a token says less. */
  #checkCertificate(from: NodeId, call: ServerCall): void {
    const { certificateName } = this.#parts;
    if (certificateName === null) return;
    const name = certificateName.replaceAll('{id}', String(from));
    const shown = call.peer.certificate ?? null;
    if (shown === name) return;
    throw this.#refused(
      from,
      'RPC_UNAUTHENTICATED',
      `member ${from} shows the certificate of ${shown ?? 'nobody'}, not of ${name}`,
    );
  }

  #checkCluster(clusterId: bigint, from = 0): void {
    if (clusterId === BigInt(this.#parts.clusterId)) return;
    throw this.#refused(
      from,
      'RPC_FAILED_PRECONDITION',
      `this member belongs to cluster ${this.#parts.clusterId}, not to ${clusterId}`,
    );
  }

  #refused(
    from: NodeId,
    code: 'RPC_FAILED_PRECONDITION' | 'RPC_INVALID_ARGUMENT' | 'RPC_UNAUTHENTICATED',
    message: string,
  ): RpcError {
    const error = new RpcError(code, message, { executed: 'no' });
    this.#parts.onRefusal(from, error);
    return error;
  }
}
