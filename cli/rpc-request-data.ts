// The requests that `--data` gives: JSON from the command line, a file or standard input, as messages of a method.
// rpc-call.ts sends them as they come; rpc-bench.ts reads all of them first.

import { createReadStream } from 'node:fs';
import type { MethodContract } from '../rpc/index.js';
import { UsageError } from './flags.js';
import { JsonTextError, JsonValues } from './json-values.js';
import type { Io } from './main.js';

/** Where the text comes from; closing ends a wait for more of it. */
export interface DataSource {
  readonly chunks: AsyncIterable<string> | Iterable<string>;
  close(): void;
}

/** @param data `--data` as given: JSON, `@`, `@FILE`; null gives nothing */
export function openData(data: string | null, io: Io): DataSource {
  if (data === null || !data.startsWith('@')) return { chunks: data === null ? [] : [data], close: () => {} };
  const stream = data === '@' ? (io.stdin ?? process.stdin) : createReadStream(data.slice(1));
  stream.setEncoding('utf8');
  return { chunks: stream as AsyncIterable<string>, close: () => void stream.destroy() };
}

/**
 * The messages one by one, each as soon as it was read.
 * @throws UsageError naming the flag, and the line that is wrong
 */
export async function* requestsFrom(source: DataSource, method: MethodContract): AsyncGenerator {
  const values = new JsonValues();
  let index = 0;
  const messageOf = (value: unknown): unknown => {
    index += 1;
    return method.requestType.fromJson(value);
  };
  try {
    for await (const chunk of source.chunks) {
      for (const value of values.feed(chunk)) yield messageOf(value);
    }
    for (const value of values.end()) yield messageOf(value);
  } catch (error) {
    if (error instanceof JsonTextError) throw new UsageError(`--data: ${error.message}`);
    if ((error as { code?: unknown }).code === 'RPC_MESSAGE_INVALID')
      throw new UsageError(
        `--data: ${index > 1 ? `value ${index}: ` : ''}${(error as Error).message}; rpc describe --template shows one`,
      );
    if ((error as { syscall?: unknown }).syscall !== undefined)
      throw new UsageError(`--data: should be a file that can be read: ${(error as Error).message}`);
    throw error;
  }
}

/** Every message. @throws UsageError */
export async function allRequests(source: DataSource, method: MethodContract): Promise<unknown[]> {
  const messages: unknown[] = [];
  for await (const message of requestsFrom(source, method)) messages.push(message);
  return messages;
}

/** The request of a method that takes one: an empty one where there is no data. @throws UsageError */
export async function oneRequest(source: DataSource, method: MethodContract): Promise<unknown> {
  const requests = requestsFrom(source, method);
  const first = await requests.next();
  if (first.done === true) return method.requestType.fromJson({});
  const second = await requests.next();
  if (second.done !== true) throw new UsageError(`--data: ${method.path} takes one request, not several`);
  return first.value;
}
