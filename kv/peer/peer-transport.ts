// How a member reaches the others: what KvNode needs of a network. rpc-transport.ts is the real one; simulators and tests
// have their own. Messages may be lost, late, doubled and out of order, and never changed.

import type { NodeId, RaftMessage } from '../raft/index.js';

/**
 * Told of what arrives; `messages` are the receiver's, down to the bytes of their entries. `address` is the host:port at
 * which the sender says it is reached, empty if it does not say.
 */
export type PeerReceiver = (from: NodeId, messages: readonly RaftMessage[], address: string) => void;

export interface PeerFigures {
  readonly id: NodeId;
  readonly isConnected: boolean;
  readonly queuedMessages: number;
  readonly queuedBytes: number;
  readonly sentMessages: number;
  readonly sentBytes: number;
  readonly droppedMessages: number;
  readonly connects: number;
}

export interface PeerTransport {
  /** From now on `receive` is called, never within `send`. */
  start(receive: PeerReceiver): void;
  /**
   * Never waits and never throws; what cannot be sent is dropped. The message is not changed afterwards by either side.
   * `mayWait`: it may leave some milliseconds later, together with what comes then.
   */
  send(to: NodeId, message: RaftMessage, mayWait?: boolean): void;
  /** host:port by id, of all others; whoever is missing is not reached any more. */
  setAddresses(addresses: ReadonlyMap<NodeId, string>): void;
  figures(): readonly PeerFigures[];
  close(): Promise<void>;
}
