// Degradation as middleware: when a call fails because of the service, a function of the user's answers instead.

import { Metadata } from '../metadata.js';
import { RpcError } from '../errors.js';
import type { Middleware, MiddlewareRequest } from '../middleware.js';
import { withDefaults } from '../option-checks.js';
import { isStreamed } from './answer-end.js';
import { checkCodes, type RetryableCode } from './retry-policy.js';

export interface FallbackOptions {
  /** Failures that are answered. Default UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED. */
  on?: readonly RetryableCode[];
}

const DEFAULTS: Required<FallbackOptions> = {
  on: ['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED'],
};

/**
 * @param answer the message to give instead; for methods that stream their answer, messages. It may throw.
 *   A stream is answered so only while no message of it has come.
 * @throws RpcError RPC_OPTION_INVALID
 */
export function fallback(
  answer: (request: MiddlewareRequest, error: RpcError) => unknown,
  options: FallbackOptions = {},
): Middleware {
  const { on } = withDefaults('fallback', DEFAULTS, options);
  checkCodes('fallback', 'on', on);
  const answered = new Set<string>(on);
  const instead = async (request: MiddlewareRequest, error: unknown): Promise<unknown> => {
    if (!(error instanceof RpcError)) throw error;
    if (!answered.has(error.status) && !answered.has(error.code)) throw error;
    return answer(request, error);
  };
  return async (request, next) => {
    try {
      const response = await next(request);
      if (!isStreamed(request)) return response;
      const messages = response.message as AsyncIterable<unknown>; // the method streams
      return { ...response, message: firstOr(messages, (error) => instead(request, error)) };
    } catch (error) {
      const message = await instead(request, error);
      return { message, headers: new Metadata(), trailers: new Metadata() };
    }
  };
}

async function* firstOr(
  messages: AsyncIterable<unknown>,
  instead: (error: unknown) => Promise<unknown>,
): AsyncGenerator {
  const source = messages[Symbol.asyncIterator]();
  let result: IteratorResult<unknown>;
  try {
    result = await source.next();
  } catch (error) {
    yield* (await instead(error)) as AsyncIterable<unknown>; // as `fallback` asks for
    return;
  }
  try {
    while (result.done !== true) {
      yield result.value;
      result = await source.next();
    }
  } finally {
    await source.return?.();
  }
}
