// The network between members, on RPC: a lane for messages and one for snapshots to every other member, and the Peer
// service that answers theirs. kv-server.ts makes it and puts `service` on its RPC server; KvNode uses it as PeerTransport.

import type { TlsClientOptions, TransportName } from '../../reactor/index.js';
import type { RpcError } from '../../rpc/index.js';
import type { NodeClock } from '../node/node-clock.js';
import type { NodeId, RaftMessage } from '../raft/index.js';
import { MessageEncoder } from './message-codec.js';
import type { DescribeResponse, JoinRequest } from './peer-contract.js';
import { type LaneParts, PeerLane } from './peer-lane.js';
import { PeerService } from './peer-service.js';
import type { PeerFigures, PeerReceiver, PeerTransport } from './peer-transport.js';

export interface RpcTransportParts {
  readonly clock: NodeClock;
  readonly random: () => number;
  readonly clusterId: number;
  readonly id: NodeId;
  /** host:port at which the others reach this member. */
  readonly address: string;
  readonly tls: TlsClientOptions | null;
  readonly token: string;
  readonly transport: TransportName;
  readonly certificateName: string | null;
  readonly describe: () => DescribeResponse;
  readonly join: (request: JoinRequest) => Promise<void>;
  readonly onState: LaneParts['onState'];
  readonly onRefusal: (from: NodeId, error: RpcError) => void;
}

interface Lanes {
  readonly main: PeerLane;
  readonly bulk: PeerLane;
}

export class RpcTransport implements PeerTransport {
  readonly service: PeerService;
  readonly #parts: LaneParts;
  readonly #lanes = new Map<NodeId, Lanes>();
  #receive: PeerReceiver | null = null;
  #closing: Promise<unknown>[] = [];
  #isClosed = false;

  constructor(parts: RpcTransportParts) {
    const { clock, random, clusterId, id, address, tls, token, transport, onState } = parts;
    this.#parts = {
      clock,
      random,
      clusterId,
      from: id,
      address,
      tls,
      token,
      transport,
      onState,
      encoder: new MessageEncoder(),
    };
    this.service = new PeerService({
      clusterId,
      id,
      certificateName: parts.certificateName,
      receive: (from, messages, address) => this.#receive?.(from, messages, address),
      describe: parts.describe,
      join: parts.join,
      onRefusal: parts.onRefusal,
    });
  }

  start(receive: PeerReceiver): void {
    this.#receive = receive;
  }

  send(to: NodeId, message: RaftMessage, mayWait = false): void {
    const lanes = this.#lanes.get(to);
    if (lanes === undefined) return; // its address is not known yet
    (message.type === 'snapshot' ? lanes.bulk : lanes.main).send(message, mayWait);
  }

  setAddresses(addresses: ReadonlyMap<NodeId, string>): void {
    if (this.#isClosed) return;
    for (const [id, lanes] of this.#lanes) {
      if (addresses.get(id) === lanes.main.address) continue;
      this.#lanes.delete(id);
      this.#closing.push(lanes.main.close(), lanes.bulk.close());
    }
    for (const [id, address] of addresses) {
      if (id === this.#parts.from || this.#lanes.has(id)) continue;
      this.#lanes.set(id, {
        main: new PeerLane(this.#parts, id, address, false),
        bulk: new PeerLane(this.#parts, id, address, true),
      });
    }
  }

  figures(): readonly PeerFigures[] {
    return [...this.#lanes].map(([id, { main, bulk }]) => ({
      id,
      isConnected: main.isOpen,
      queuedMessages: main.queuedMessages + bulk.queuedMessages,
      queuedBytes: main.queuedBytes + bulk.queuedBytes,
      sentMessages: main.sentMessages + bulk.sentMessages,
      sentBytes: main.sentBytes + bulk.sentBytes,
      droppedMessages: main.dropped + bulk.dropped,
      connects: main.connects,
    }));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#receive = null;
    this.service.stop();
    for (const { main, bulk } of this.#lanes.values()) this.#closing.push(main.close(), bulk.close());
    this.#lanes.clear();
    await Promise.all(this.#closing.splice(0));
  }
}
