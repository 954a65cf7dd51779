// Notices when the answer to a call has ended, for middleware that holds something until then.

import type { MiddlewareRequest, MiddlewareResponse } from '../middleware.js';

export function isStreamed({ method }: MiddlewareRequest): boolean {
  return method.kind === 'server-stream' || method.kind === 'bidi-stream';
}

/**
 * The streamed answer as it is; calls `onEnd` once, when its last message was read, reading failed or was given up, or
 * the call's signal aborts, whichever comes first.
 */
export function untilEnd(
  request: MiddlewareRequest,
  response: MiddlewareResponse,
  onEnd: () => void,
): MiddlewareResponse {
  let hasEnded = false;
  const end = (): void => {
    if (hasEnded) return;
    hasEnded = true;
    request.signal.removeEventListener('abort', end);
    onEnd();
  };
  request.signal.addEventListener('abort', end);
  if (request.signal.aborted) end();
  return { ...response, message: watched(response.message as AsyncIterable<unknown>, end) };
}

function watched(messages: AsyncIterable<unknown>, end: () => void): AsyncIterable<unknown> {
  return {
    [Symbol.asyncIterator]() {
      const source = messages[Symbol.asyncIterator]();
      return {
        async next() {
          try {
            const result = await source.next();
            if (result.done === true) end();
            return result;
          } catch (error) {
            end();
            throw error;
          }
        },
        async return() {
          end();
          return (await source.return?.()) ?? { done: true, value: undefined };
        },
      };
    },
  };
}
