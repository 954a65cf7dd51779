// What all clients of one RESP server share, and what commands that the connection answers may look at.
// resp-server.ts makes it; resp-client.ts and local/ use it.

import type { EventLoop } from '../../reactor/index.js';
import type { Backend } from '../backend.js';
import type { ItemWriter } from '../machine/batch.js';
import type { RaftAdmin } from './raft-admin.js';
import type { AccessList } from './access-list.js';
import type { CommandSet } from './command-set.js';
import type { InputBudget } from './input-buffer.js';
import type { RequestLimits } from './request-parser.js';
import type { RespClient } from './resp-client.js';
import type { RespFigures } from './resp-figures.js';
import type { RespConfig } from './resp-config.js';
import type { SlowLog } from './slow-log.js';
import type { Subscriptions } from './subscriptions.js';

/** Bounds of one client. */
export interface ClientLimits extends RequestLimits {
  /** Input that waits behind a run before reading pauses. */
  readonly waitingBytesMax: number;
  /** Output that waits for any client before it is cut. */
  readonly outputBytesMax: number;
  /** Messages that wait for a subscriber before it is cut. */
  subscriberBytesMax: number;
  /** The same, if it lasts for `subscriberSoftMs`. */
  subscriberSoftBytes: number;
  subscriberSoftMs: number;
}

export interface RespShared {
  readonly backend: Backend;
  readonly loop: EventLoop;
  readonly commands: CommandSet;
  readonly clients: Map<number, RespClient>;
  readonly subscriptions: Subscriptions;
  readonly config: RespConfig;
  readonly slowLog: SlowLog;
  readonly figures: RespFigures;
  readonly limits: ClientLimits;
  readonly budget: InputBudget;
  /** Memory for what clients have told to be kept: queued commands, watched keys, channels. */
  readonly held: InputBudget;
  /** Encodes what goes through the log; empty between two uses. */
  readonly items: ItemWriter;
  readonly startedMs: number;
  /** Where it listens. */
  readonly port: number;
  /** What only a real member can do; null where there is none. */
  readonly admin: RaftAdmin | null;
  access: AccessList;
  /** Seconds since the epoch of the latest snapshot somebody asked for here. */
  lastSaveSeconds: number;
  /** Hands the client's output to its connection at the end of the turn, once. */
  flushSoon(client: RespClient): void;
  /** Something failed that is nobody's fault but ours. */
  reportDefect(error: unknown): void;
}
