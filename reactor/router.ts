// Finds the handler of a msgId and calls the user's hooks so that a throw stays where it happened.
// handler-calls.ts asks it for every frame; one router serves all connections of a service on a thread.
// reload() swaps the router, so nothing here belongs to a single connection.

import type { Connection } from './connection.js';
import type { ReactorError } from './errors.js';
import { checkHandlerShape } from './handler-shape.js';
import type { CloseReason, Frame, FrameHandler, Handlers } from './handlers.js';

/** Ids below this are looked up in an array, others in a map. */
const DENSE_IDS = 0x10000;
const HOOKS = [
  'onConnect',
  'onClose',
  'onUnknown',
  'onError',
  'onDrain',
  'onHalfClose',
] as const satisfies readonly (keyof Handlers)[];

export class Router {
  readonly #handlers: Handlers;
  readonly #dense: (FrameHandler | undefined)[] = [];
  readonly #sparse = new Map<number, FrameHandler>();
  readonly #every: FrameHandler | undefined;

  /** @throws ReactorError REACTOR_HANDLERS_INVALID naming the member that is wrong. */
  constructor(handlers: Handlers) {
    checkHandlerShape(handlers, HOOKS);
    this.#handlers = handlers;
    const { onFrame } = handlers;
    this.#every = typeof onFrame === 'function' ? onFrame : undefined;
    if (onFrame === undefined || typeof onFrame === 'function') return;
    for (const [key, handler] of Object.entries<FrameHandler>(onFrame)) {
      const msgId = Number(key);
      if (msgId < DENSE_IDS) this.#dense[msgId] = handler;
      else this.#sparse.set(msgId, handler);
    }
  }

  /** The handler for this id, or undefined when it is unknown. */
  find(msgId: number): FrameHandler | undefined {
    if (this.#every !== undefined) return this.#every;
    return msgId < DENSE_IDS ? this.#dense[msgId] : this.#sparse.get(msgId);
  }

  get handlesUnknown(): boolean {
    return this.#handlers.onUnknown !== undefined;
  }

  connected(connection: Connection): unknown {
    return this.#handlers.onConnect?.(connection);
  }

  unknown(connection: Connection, frame: Frame): unknown {
    return this.#handlers.onUnknown?.(connection, frame);
  }

  drained(connection: Connection): unknown {
    return this.#handlers.onDrain?.(connection);
  }

  halfClosed(connection: Connection): unknown {
    return this.#handlers.onHalfClose?.(connection);
  }

  closed(connection: Connection, reason: CloseReason): unknown {
    return this.#handlers.onClose?.(connection, reason);
  }

  failed(connection: Connection, error: ReactorError): unknown {
    return this.#handlers.onError?.(connection, error);
  }
}
