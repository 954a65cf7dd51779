// A host that a pool can dial without a socket: what its connections and dials do is the test's to say.

import assert from 'node:assert/strict';
import { RpcError } from '../../rpc/errors.js';
import type { Instance } from '../../rpc/instance.js';
import type { PoolTime } from '../../rpc/pool/pool-time.js';
import type { PoolableConnection, PoolListener } from '../../rpc/pool/poolable.js';

export class FakeConnection implements PoolableConnection {
  readonly host: FakeHost;
  readonly number: number;
  readonly instance: Instance;
  callsInFlight: number = 0;
  callsMax: number;
  lastReceivedMs: number;
  poolListener: PoolListener | null = null;
  state: 'open' | 'closing' | 'ended' = 'open';
  destroyedWith: RpcError | null = null;
  pings: number = 0;

  constructor(host: FakeHost, instance: Instance, number: number, callsMax: number) {
    this.host = host;
    this.instance = instance;
    this.number = number;
    this.callsMax = callsMax;
    this.lastReceivedMs = host.time.nowMs();
  }

  get isUsable(): boolean {
    return this.state === 'open';
  }

  beginCall(): void {
    assert.equal(this.state, 'open', 'a call begins on an open connection');
    assert(this.callsInFlight < this.callsMax, 'a call begins on a connection with room');
    this.callsInFlight += 1;
  }

  endCall(): void {
    assert(this.callsInFlight > 0);
    this.callsInFlight -= 1;
    this.lastReceivedMs = this.host.time.nowMs();
    if (this.state === 'closing' && this.callsInFlight === 0) this.#end(null);
    else this.poolListener?.onCapacity();
  }

  ping(timeoutMs: number): Promise<void> {
    this.pings += 1;
    const { host } = this;
    return new Promise((resolve, reject) => {
      host.time.runAfter(host.isSilent ? timeoutMs : host.pingMs, () => {
        if (host.isSilent || this.state === 'ended') reject(new Error('no pong'));
        else {
          this.lastReceivedMs = host.time.nowMs();
          resolve();
        }
      });
    });
  }

  close(): void {
    if (this.state !== 'open') return;
    this.state = 'closing';
    if (this.callsInFlight === 0) this.#end(null);
  }

  destroy(error: RpcError): void {
    if (this.state === 'ended') return;
    this.destroyedWith = error;
    this.callsInFlight = 0;
    this.#end(error);
  }

  /** The other side says GOAWAY. */
  goAway(): void {
    if (this.state !== 'open') return;
    this.state = 'closing';
    this.poolListener?.onUnusable();
    if (this.callsInFlight === 0) this.#end(null);
  }

  /** The connection breaks. */
  die(): void {
    if (this.state === 'ended') return;
    this.callsInFlight = 0;
    this.#end(new RpcError('RPC_CONNECTION_LOST', 'connection reset'));
  }

  #end(error: RpcError | null): void {
    this.state = 'ended';
    this.host.alive.delete(this);
    this.poolListener?.onEnded(error);
  }
}

export class FakeHost {
  readonly time: PoolTime;
  /** Connections that have not ended. */
  readonly alive: Set<FakeConnection> = new Set();
  /** When each dial began. */
  readonly dialTimes: number[] = [];
  dialling: number = 0;
  /** The most connections and dials there ever were at once. */
  peak: number = 0;
  /** What becomes of a dial. */
  answer: 'accept' | 'refuse' | 'hang' = 'accept';
  /** What a refused dial fails with; null: the system's error. */
  refusal: RpcError | null = null;
  dialMs: number = 10;
  callsMax: number = 100;
  /** Accepts connections but answers no ping. */
  isSilent: boolean = false;
  pingMs: number = 1;
  #made: number = 0;

  constructor(time: PoolTime) {
    this.time = time;
  }

  readonly dial = (instance: Instance, signal: AbortSignal): Promise<FakeConnection> => {
    this.dialTimes.push(this.time.nowMs());
    this.dialling += 1;
    this.peak = Math.max(this.peak, this.dialling + this.alive.size);
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void): void => {
        signal.removeEventListener('abort', onAbort);
        this.time.cancel(timer);
        this.dialling -= 1;
        settle();
      };
      const onAbort = (): void => finish(() => reject(signal.reason as Error));
      const timer = this.time.runAfter(this.answer === 'hang' ? 3_600_000 : this.dialMs, () =>
        finish(() => {
          if (this.answer !== 'accept') {
            reject(
              this.refusal ?? Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }),
            );
            return;
          }
          this.#made += 1;
          const connection = new FakeConnection(this, instance, this.#made, this.callsMax);
          this.alive.add(connection);
          resolve(connection);
        }),
      );
      signal.addEventListener('abort', onAbort, { once: true });
    });
  };
}

export function fakeInstance(id: string = 'host:1'): Instance {
  return { id, host: 'host', port: 1, weight: 1, version: '', group: '', tags: {}, resources: {} };
}
