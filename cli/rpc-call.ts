// `reactor-net rpc call`: one call of any kind. Requests go out as their JSON is read, answers are printed as they come.

import { once } from 'node:events';
import { type CallOptions, type Caller, type Messages, type MethodContract, RpcError } from '../rpc/index.js';
import { UsageError } from './flags.js';
import { EXIT_FAILED, type Io } from './main.js';
import { metadataOf } from './rpc-connection.js';
import { findMethod, splitMethod } from './rpc-contract-source.js';
import { metadataToJson, type MetadataObject, reportFailure } from './rpc-failure.js';
import { type DataSource, oneRequest, openData, requestsFrom } from './rpc-request-data.js';
import { type ToolSession, withContract } from './rpc-session.js';
import type { CallToolOptions } from './rpc-tool-command.js';
import { EXIT_INTERRUPTED } from './shutdown.js';
import { TIMEOUT_MS } from './rpc-target-flags.js';

/** @returns the exit code. @throws UsageError */
export async function rpcCall(options: CallToolOptions, io: Io): Promise<number> {
  const { service } = splitMethod(options.method);
  const exitCode = await withContract(options, service, io, async (session) => {
    const source = openData(options.data, io);
    try {
      return await call(options, io, session, source);
    } finally {
      source.close();
    }
  });
  // Answers that nobody takes from the pipe would keep the process.
  if (exitCode === EXIT_INTERRUPTED && process.stdout === io.stdout && process.stdout.writableLength > 0)
    process.exit(exitCode);
  return exitCode;
}

async function call(
  options: CallToolOptions,
  io: Io,
  session: ToolSession,
  source: DataSource,
): Promise<number> {
  const method = findMethod(session.types, options.method);
  const output = new Output(io, options);
  const requests = new Requests(source, method);
  const callOptions: CallOptions = {
    timeoutMs: options.timeoutMs ?? (method.kind === 'unary' ? TIMEOUT_MS : Infinity),
    metadata: metadataOf(options),
    signal: AbortSignal.any([session.signal, output.gone]),
    onHeaders: (headers) => output.tell('headers', metadataToJson(headers)),
    onTrailers: (trailers) => output.tell('trailers', metadataToJson(trailers)),
  };
  try {
    output.tell('call', { method: method.path, kind: method.kind, target: options.target ?? '' });
    for await (const answer of await answersOf(await session.caller(), method, requests, callOptions))
      await output.answer(method.responseType.toJson(answer), session.signal);
    return 0;
  } catch (error) {
    if (requests.failure !== null) throw requests.failure;
    if (output.gone.aborted) return EXIT_FAILED; // whoever read the answers left
    if (session.signal.aborted || !(error instanceof RpcError)) throw error;
    return reportFailure(error, io, options.json, session.types);
  }
}

async function answersOf(
  caller: Caller,
  method: MethodContract,
  requests: Requests,
  options: CallOptions,
): Promise<Messages<unknown>> {
  switch (method.kind) {
    case 'unary':
      return [await caller.unary(method, await requests.one(), options)];
    case 'server-stream':
      return caller.serverStream(method, await requests.one(), options);
    case 'client-stream':
      return [await caller.clientStream(method, requests.all(), options)];
    case 'bidi-stream':
      return caller.bidiStream(method, requests.all(), options);
    default:
      return method.kind satisfies never;
  }
}

/** What is sent, and the mistake in it: the call only tells that it was cancelled. */
class Requests {
  failure: UsageError | null = null;
  readonly #source: DataSource;
  readonly #method: MethodContract;

  constructor(source: DataSource, method: MethodContract) {
    this.#source = source;
    this.#method = method;
  }

  one(): Promise<unknown> {
    return oneRequest(this.#source, this.#method);
  }

  async *all(): AsyncGenerator {
    try {
      yield* requestsFrom(this.#source, this.#method);
    } catch (error) {
      if (error instanceof UsageError) this.failure = error;
      throw error;
    }
  }
}

/** Answers on standard output, at the pace of whoever reads it; the rest on standard error with --verbose. */
class Output {
  readonly #io: Io;
  readonly #json: boolean;
  readonly #verbose: boolean;
  readonly #gone = new AbortController();

  constructor(io: Io, { json, verbose }: CallToolOptions) {
    this.#io = io;
    this.#json = json;
    this.#verbose = verbose;
    const onGone = (): void => this.#gone.abort(new Error('standard output was closed'));
    io.stdout.once('error', onGone).once('close', onGone);
  }

  /** Aborts when nobody reads the answers any more. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Resolves when there is room for the next. */
  async answer(json: unknown, interrupted: AbortSignal): Promise<void> {
    const text = `${JSON.stringify(json, null, this.#json ? 0 : 2)}\n`;
    if (this.#io.stdout.write(text) || this.gone.aborted) return;
    await once(this.#io.stdout, 'drain', { signal: AbortSignal.any([this.gone, interrupted]) });
  }

  tell(event: 'call' | 'headers' | 'trailers', facts: MetadataObject): void {
    if (!this.#verbose) return;
    const lines = Object.entries(facts).map(([name, value]) => `  ${name}: ${String(value)}\n`);
    const nested = event === 'call' ? facts : { [event]: facts };
    this.#io.stderr.write(
      this.#json ? `${JSON.stringify({ event, ...nested })}\n` : `${event}\n${lines.join('')}`,
    );
  }
}
