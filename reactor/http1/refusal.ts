// Why a request is not served: the status that says so, the code it is counted under, and words for the client.
// head-rules.ts and session.ts refuse; session.ts answers with it and closes the connection.

import { ReactorError, type ReactorErrorCode } from '../errors.js';

/** The statuses we answer by ourselves, without asking a handler. */
export type RefusalStatus = 400 | 408 | 413 | 414 | 417 | 431 | 500 | 501 | 503 | 505;

const CODES: Record<RefusalStatus, ReactorErrorCode> = {
  400: 'REACTOR_REQUEST_MALFORMED',
  408: 'REACTOR_TIMEOUT',
  413: 'REACTOR_REQUEST_TOO_LARGE',
  414: 'REACTOR_REQUEST_TOO_LARGE',
  417: 'REACTOR_REQUEST_UNSUPPORTED',
  431: 'REACTOR_REQUEST_TOO_LARGE',
  500: 'REACTOR_HANDLER_FAILED',
  501: 'REACTOR_REQUEST_UNSUPPORTED',
  503: 'REACTOR_TIMEOUT',
  505: 'REACTOR_REQUEST_MALFORMED',
};

/** An error that has an HTTP status. A handler whose body could not be read may let it pass: it is the answer. */
export class Refusal extends ReactorError {
  readonly status: RefusalStatus;

  /** `text` goes to the client. */
  constructor(status: RefusalStatus, text: string, options?: ErrorOptions) {
    super(CODES[status], text, options);
    this.status = status;
  }
}
