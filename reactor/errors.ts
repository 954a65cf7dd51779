// Every error the reactor reports, as one class and one closed list of codes.
// Callers switch on `code`; `message` is for people; `cause` keeps the error underneath.
// Errors cross threads and sockets as { code, message }: toWire() and fromWire() are that border.

export type ReactorErrorCode =
  | 'REACTOR_FRAME_TOO_LARGE' // the peer announced a frame above frameBytesMax
  | 'REACTOR_FRAME_MALFORMED' // the peer sent bytes the codec cannot read as a frame
  | 'REACTOR_FRAME_RELEASED' // a handler read a frame after giving its memory back
  | 'REACTOR_BODY_TOO_LARGE' // we tried to send a body above frameBytesMax
  | 'REACTOR_POOL_EXHAUSTED' // the buffer pools of all threads together are at their cap
  | 'REACTOR_OUTPUT_OVERFLOW' // the peer reads too slowly: output reached the hard cap
  | 'REACTOR_CONNECTION_CLOSED' // the connection ended before the operation did
  | 'REACTOR_CONNECTION_LIMIT' // accepting one more would pass a connection limit
  | 'REACTOR_CONNECT_FAILED' // the other side could not be reached
  | 'REACTOR_FILE_UNAVAILABLE' // the file cannot be opened, or is not a regular file
  | 'REACTOR_FILE_RANGE_INVALID' // the part of the file asked for is not in it
  | 'REACTOR_FILE_FAILED' // the file became shorter or unreadable while it was sent; the connection was reset
  | 'REACTOR_SEND_FAILED' // the kernel refused a datagram
  | 'REACTOR_TIMEOUT' // a deadline of ours passed
  | 'REACTOR_HANDLER_FAILED' // user code threw, or its promise rejected
  | 'REACTOR_HANDLERS_INVALID' // the handler module could not be loaded or has the wrong shape
  | 'REACTOR_UNKNOWN_MSG_ID' // no handler is registered for this msgId
  | 'REACTOR_QUEUE_FULL' // a bounded queue refused work
  | 'REACTOR_UNKNOWN_TASK' // no task of that name is registered on the target thread
  | 'REACTOR_TASK_FAILED' // the task ran on the target thread and threw
  | 'REACTOR_UNKNOWN_THREAD' // there is no such thread
  | 'REACTOR_THREAD_LOST' // the thread ended before it answered
  | 'REACTOR_PROCESS_LOST' // a supervised process ended before it was ready or before it answered
  | 'REACTOR_ABORTED' // the caller cancelled
  | 'REACTOR_CLOSED' // the server, loop or pool is closed
  | 'REACTOR_PORT_IN_USE' // the address is taken
  | 'REACTOR_LISTEN_FAILED' // the address cannot be listened on for another reason
  | 'REACTOR_FD_LIMIT' // the process is close to its descriptor limit; accepting is paused
  | 'REACTOR_ADDON_MISSING' // the option needs the native addon, which is not built
  | 'REACTOR_UNSUPPORTED' // the chosen transport or system cannot do this
  | 'REACTOR_PROXY_HEADER_INVALID' // the PROXY protocol header is missing or malformed
  | 'REACTOR_REQUEST_MALFORMED' // an HTTP request cannot be read, or in more than one way: 400, 505
  | 'REACTOR_REQUEST_TOO_LARGE' // an HTTP request is above a limit: 413, 414, 431
  | 'REACTOR_REQUEST_UNSUPPORTED' // an HTTP request asks for what this transport does not do: 417, 501
  | 'REACTOR_ANSWER_INVALID' // an HTTP handler answered twice, or what cannot be sent
  | 'REACTOR_TLS_FAILED' // the TLS handshake failed
  | 'REACTOR_OPTION_INVALID'; // an option has an impossible value

/** The form in which an error crosses a thread or a socket. */
export interface WireError {
  readonly code: string;
  readonly message: string;
}

export class ReactorError extends Error {
  readonly code: ReactorErrorCode;

  constructor(code: ReactorErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ReactorError';
    this.code = code;
  }

  toWire(): WireError {
    return { code: this.code, message: this.message };
  }

  /** Rebuilds an error on the far side; a code we do not know becomes the cause of `fallback`. */
  static fromWire(wire: WireError, fallback: ReactorErrorCode = 'REACTOR_TASK_FAILED'): ReactorError {
    return isReactorErrorCode(wire.code)
      ? new ReactorError(wire.code, wire.message)
      : new ReactorError(fallback, `${wire.code}: ${wire.message}`);
  }
}

/** Turns anything thrown into `{ code, message }`; foreign errors keep their own code if they have one. */
export function errorToWire(error: unknown, fallback: ReactorErrorCode): WireError {
  if (error instanceof ReactorError) return error.toWire();
  if (error instanceof Error) {
    const { code } = error as NodeJS.ErrnoException;
    return { code: code ?? fallback, message: error.message };
  }
  return { code: fallback, message: String(error) };
}

const CODES: Record<ReactorErrorCode, true> = {
  REACTOR_FRAME_TOO_LARGE: true,
  REACTOR_FRAME_MALFORMED: true,
  REACTOR_FRAME_RELEASED: true,
  REACTOR_BODY_TOO_LARGE: true,
  REACTOR_POOL_EXHAUSTED: true,
  REACTOR_OUTPUT_OVERFLOW: true,
  REACTOR_CONNECTION_CLOSED: true,
  REACTOR_CONNECTION_LIMIT: true,
  REACTOR_CONNECT_FAILED: true,
  REACTOR_FILE_UNAVAILABLE: true,
  REACTOR_FILE_RANGE_INVALID: true,
  REACTOR_FILE_FAILED: true,
  REACTOR_SEND_FAILED: true,
  REACTOR_TIMEOUT: true,
  REACTOR_HANDLER_FAILED: true,
  REACTOR_HANDLERS_INVALID: true,
  REACTOR_UNKNOWN_MSG_ID: true,
  REACTOR_QUEUE_FULL: true,
  REACTOR_UNKNOWN_TASK: true,
  REACTOR_TASK_FAILED: true,
  REACTOR_UNKNOWN_THREAD: true,
  REACTOR_THREAD_LOST: true,
  REACTOR_PROCESS_LOST: true,
  REACTOR_ABORTED: true,
  REACTOR_CLOSED: true,
  REACTOR_PORT_IN_USE: true,
  REACTOR_LISTEN_FAILED: true,
  REACTOR_FD_LIMIT: true,
  REACTOR_ADDON_MISSING: true,
  REACTOR_UNSUPPORTED: true,
  REACTOR_PROXY_HEADER_INVALID: true,
  REACTOR_REQUEST_MALFORMED: true,
  REACTOR_REQUEST_TOO_LARGE: true,
  REACTOR_REQUEST_UNSUPPORTED: true,
  REACTOR_ANSWER_INVALID: true,
  REACTOR_TLS_FAILED: true,
  REACTOR_OPTION_INVALID: true,
};

export const REACTOR_ERROR_CODES: readonly ReactorErrorCode[] = Object.keys(CODES) as ReactorErrorCode[];

function isReactorErrorCode(code: string): code is ReactorErrorCode {
  return Object.hasOwn(CODES, code);
}
