// What a server says of its health: of itself and of each service, and to everybody who watches.
// health-service.ts serves it; whoever owns the server sets it. One per thread, because services are.

import { RpcError } from '../errors.js';

export type Serving = 'serving' | 'not-serving';
/** 'unknown': nothing was ever said of the service. */
export type ServingState = Serving | 'unknown';

/** The server as a whole. */
export const WHOLE_SERVER = '';

export class HealthStatus {
  readonly #states = new Map<string, Serving>([[WHOLE_SERVER, 'serving']]);
  readonly #watchers = new Set<() => void>();
  #isDraining = false;

  /** The server as a whole serves from the start. @param services full names of services that serve from the start */
  constructor(services: Iterable<string> = []) {
    for (const service of services) this.#states.set(service, 'serving');
  }

  /** The server goes away: nothing serves any more, whatever is set, and those who watch are told and let go. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** @param service full name; '' is the server as a whole */
  set(service: string, serving: Serving): void {
    if (this.#states.get(service) === serving) return;
    this.#states.set(service, serving);
    this.#tell();
  }

  /** Nothing is known of the service any more. */
  clear(service: string): void {
    if (this.#states.delete(service)) this.#tell();
  }

  get(service: string): ServingState {
    const state = this.#states.get(service);
    if (state === undefined) return 'unknown';
    return this.#isDraining ? 'not-serving' : state;
  }

  /** Of everything that something was said of. */
  all(): Map<string, Serving> {
    if (!this.#isDraining) return new Map(this.#states);
    return new Map(Array.from(this.#states.keys(), (service) => [service, 'not-serving']));
  }

  /** For `onDraining` of an application: says that nothing serves any more. For good. */
  startDraining(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.#tell();
  }

  /**
   * The state now and after every change; of changes that come faster than they are read, the last one. Ends when
   * `signal` aborts, and with RPC_SHUTTING_DOWN when the server drains, so that no watcher holds a drain up.
   */
  async *watch(service: string, signal: AbortSignal): AsyncGenerator<ServingState, void, void> {
    let told: ServingState | null = null;
    let wake: (() => void) | null = null;
    const changed = (): void => wake?.();
    this.#watchers.add(changed);
    signal.addEventListener('abort', changed);
    try {
      while (!signal.aborted) {
        const state = this.get(service);
        if (state !== told) {
          told = state;
          yield state;
          continue; // it may have changed while it was read
        }
        if (this.#isDraining) {
          throw new RpcError('RPC_SHUTTING_DOWN', 'the server is shutting down', { executed: 'no' });
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      this.#watchers.delete(changed);
      signal.removeEventListener('abort', changed);
    }
  }

  #tell(): void {
    for (const changed of this.#watchers) changed();
  }
}
