// Every error of the render layer, as one class and one closed list of codes.
// Callers switch on `code`; `message` is for people; `cause` keeps the error underneath. Why one image could not be had is
// told by the contract's ErrCode and is no exception.

export type RenderErrorCode =
  // Faults of the caller.
  | 'RENDER_OPTION_INVALID' // an option has an impossible value
  | 'RENDER_REQUEST_INVALID' // the request asks for what cannot be: no images, a size of zero, an unknown format
  | 'RENDER_REQUEST_TOO_LARGE' // more images, lights or pixels than one request may have
  | 'RENDER_LIGHTS_MALFORMED' // the light words are not light_count for each image
  | 'RENDER_UNAUTHORIZED' // unknown serial, the epoch of an earlier owner, or a wrong token: register again
  | 'RENDER_VERSION_MISMATCH' // the node renders with another version than the cluster
  | 'RENDER_NOT_FOUND' // no such job, driver, node or image; or its result is not kept any more
  | 'RENDER_STATE' // what was asked does not fit the state the job is in
  // Nothing was begun; later it may work.
  | 'RENDER_OVERLOAD' // nobody can take the work now: again after `retryAfterMs`
  | 'RENDER_IDS_EXHAUSTED' // as many are registered as may be
  | 'RENDER_UNAVAILABLE' // the other side cannot be reached
  // How a request ended.
  | 'RENDER_PARTIAL' // some images are missing; the result tells which
  | 'RENDER_FAILED' // no image could be had
  | 'RENDER_TIMEOUT' // not done in time
  | 'RENDER_CANCELED' // somebody canceled it
  // What a renderer or a node sent or did.
  | 'RENDER_MESSAGE_INVALID' // bytes that no version we know sends
  | 'RENDER_START_FAILED' // a renderer did not become ready
  | 'RENDER_RENDERER_DIED' // a renderer ended in the middle of its work
  | 'RENDER_QUEUE_FULL' // as much waits as may wait
  | 'RENDER_CLOSED' // it was closed here
  | 'RENDER_IO'; // the system refused a call on a file

export interface RenderErrorOptions extends ErrorOptions {
  /** With RENDER_OVERLOAD: when to ask again. */
  readonly retryAfterMs?: number;
}

export class RenderError extends Error {
  readonly code: RenderErrorCode;
  readonly retryAfterMs: number | null;

  constructor(code: RenderErrorCode, message: string, options: RenderErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'RenderError';
    this.code = code;
    this.retryAfterMs = options.retryAfterMs ?? null;
  }

  /** The plain form in which it crosses threads and sockets. */
  toWire(): { code: RenderErrorCode; message: string } {
    return { code: this.code, message: this.message };
  }
}
