// What a user writes for UDP: the handler module's shape, and the peer it answers.
// udp-service.ts loads the module once per thread; udp-socket.ts calls what it returned, through UdpRouter.

import type { ReactorError } from './errors.js';
import type { EventLoop } from './event-loop.js';
import { checkHandlerShape } from './handler-shape.js';
import type { Frame } from './handlers.js';

/**
 * What became of a send. 'sent': handed to the kernel or waiting for it. 'dropped': the bytes that wait
 * already fill the queue. 'closed': the socket is closed.
 */
export type UdpSendOutcome = 'sent' | 'dropped' | 'closed';

/** The sender of one datagram. It may be kept: sending goes to that very address at any time. */
export interface UdpPeer {
  readonly address: string;
  readonly port: number;
  /**
   * Sends one TLV frame in one datagram; `body` is copied.
   * @throws ReactorError REACTOR_BODY_TOO_LARGE: above UDP_BODY_BYTES_MAX.
   */
  send(msgId: number, body: Uint8Array | string): UdpSendOutcome;
  /** Sends these bytes as one datagram, with either codec. Same error. */
  send(datagram: Uint8Array | string): UdpSendOutcome;
}

/** May be async: a rejection counts like a throw. */
export type UdpFrameHandler = (peer: UdpPeer, frame: Frame) => unknown;

/** What a UDP handler module's default export returns. Every member is optional. */
export interface UdpHandlers {
  /** By message id, or one function for all frames. With the codec 'tlv' only. */
  readonly onFrame?: Readonly<Record<number, UdpFrameHandler>> | UdpFrameHandler;
  /** Every datagram as it came, with the codec 'raw' only. `datagram` is yours to keep. */
  onDatagram?(peer: UdpPeer, datagram: Buffer): unknown;
  /** A frame whose id has no handler; without this hook it is counted and reported to `onError`. */
  onUnknown?(peer: UdpPeer, frame: Frame): unknown;
  /** Every coded error; `peer` is null when it belongs to none (a send that failed later, the socket itself). */
  onError?(peer: UdpPeer | null, error: ReactorError): unknown;
}

/** The default export of a UDP handler module; runs once on every thread of the server. */
export type UdpHandlerModule = (loop: EventLoop) => UdpHandlers | Promise<UdpHandlers>;

const HOOKS = ['onDatagram', 'onUnknown', 'onError'] as const satisfies readonly (keyof UdpHandlers)[];

/** Checked handlers with the message ids looked up by number. */
export class UdpRouter {
  readonly handlers: UdpHandlers;
  readonly #byMsgId = new Map<number, UdpFrameHandler>();
  readonly #every: UdpFrameHandler | undefined;

  /** @throws ReactorError REACTOR_HANDLERS_INVALID naming the member that is wrong. */
  constructor(handlers: unknown) {
    checkHandlerShape(handlers, HOOKS);
    this.handlers = handlers as UdpHandlers; // checked
    const { onFrame } = this.handlers;
    this.#every = typeof onFrame === 'function' ? onFrame : undefined;
    if (typeof onFrame !== 'object') return;
    for (const [key, handler] of Object.entries(onFrame)) {
      this.#byMsgId.set(Number(key), handler);
    }
  }

  /** The handler for this id, or undefined when it is unknown. */
  find(msgId: number): UdpFrameHandler | undefined {
    return this.#every ?? this.#byMsgId.get(msgId);
  }
}
