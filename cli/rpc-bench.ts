// `reactor-net rpc bench`: opens the connections, runs the load, shows how it goes, and reports.
// load-run.ts decides when calls are made, rpc-bench-report.ts words what came out.

import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { type CallOptions, type Caller, type MethodContract, RpcError } from '../rpc/index.js';
import { countedMethod, MessageCounts } from './counted-method.js';
import { LoadRun } from './load-run.js';
import { EXIT_FAILED, EXIT_UNREACHABLE, type Io } from './main.js';
import { type BenchReport, progressText, QUANTILES, reportText } from './rpc-bench-report.js';
import { type Connection, metadataOf, openConnection } from './rpc-connection.js';
import { findMethod, splitMethod } from './rpc-contract-source.js';
import { isUnreached } from './rpc-failure.js';
import { allRequests, openData } from './rpc-request-data.js';
import { type ToolSession, withContract } from './rpc-session.js';
import { TIMEOUT_MS } from './rpc-target-flags.js';
import type { RpcBenchOptions } from './rpc-tool-command.js';
import { EXIT_INTERRUPTED } from './shutdown.js';

const DURATION_MS = 10_000;
const PROGRESS_MS = 1000;
const COLUMNS_DEFAULT = 80;
const CLEAR_LINE = '\r\u001b[2K';

/** @returns the exit code: 1 when no call succeeded, 3 when nobody was reached. @throws UsageError */
export function rpcBench(options: RpcBenchOptions, io: Io): Promise<number> {
  return withContract(options, splitMethod(options.method).service, io, async (session) => {
    const method = findMethod(session.types, options.method);
    const source = openData(options.data, io);
    const messages = await allRequests(source, method).finally(() => source.close());
    const takesOne = method.kind === 'unary' || method.kind === 'server-stream';
    if (takesOne && messages.length === 0) messages.push(method.requestType.fromJson({}));
    const connections: Connection[] = [];
    try {
      const callers = [await session.caller()];
      while (callers.length < options.connections) {
        const connection = await openConnection(options);
        connections.push(connection);
        callers.push(connection.caller);
      }
      return await measure(options, io, session, method, callers, messages);
    } finally {
      await Promise.all(connections.map((connection) => connection.close()));
    }
  });
}

async function measure(
  options: RpcBenchOptions,
  io: Io,
  { signal }: ToolSession,
  method: MethodContract,
  callers: readonly Caller[],
  messages: readonly unknown[],
): Promise<number> {
  const counts = new MessageCounts();
  const counted = countedMethod(method, counts);
  const interrupted = new AbortController();
  const callOptions: CallOptions = {
    timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    metadata: metadataOf(options),
  };
  let cpuBefore = process.cpuUsage();
  const run = new LoadRun(
    {
      concurrency: options.concurrency,
      ratePerSecond: options.rate,
      warmupMs: options.warmupMs,
      durationMs: options.requests === null ? (options.durationMs ?? DURATION_MS) : null,
      requests: options.requests,
    },
    {
      nowMs: () => performance.now(),
      pause: (ms) => delay(ms, undefined, { signal: interrupted.signal }).catch(() => {}), // interrupted: it is over
      call: (number, isCounted) => {
        const caller = callers[number % callers.length]!;
        return makeCall(caller, isCounted ? counted : method, number, messages, callOptions);
      },
      codeOf: (error) => (error instanceof RpcError ? error.code : 'RPC_UNKNOWN'),
      onMeasureBegin: () => {
        cpuBefore = process.cpuUsage();
      },
    },
  );
  const onAbort = (): void => {
    run.abandon();
    interrupted.abort();
  };
  signal.addEventListener('abort', onAbort, { once: true });
  const progress = new Progress(io, options.json, run);
  // After an interruption the connections are closed under the calls that are left.
  await Promise.race([
    run.done,
    new Promise((resolve) => interrupted.signal.addEventListener('abort', resolve)),
  ]);
  progress.close();
  const cpu = process.cpuUsage(cpuBefore);
  const report = reportOf(options, method, run, counts, (cpu.user + cpu.system) / 1e6, signal.aborted);
  io.stdout.write(options.json ? `${JSON.stringify(report)}\n` : reportText(report));
  return exitCodeOf(run, signal.aborted);
}

async function makeCall(
  caller: Caller,
  method: MethodContract,
  number: number,
  messages: readonly unknown[],
  options: CallOptions,
): Promise<void> {
  switch (method.kind) {
    case 'unary':
      await caller.unary(method, messages[number % messages.length], options);
      return;
    case 'server-stream':
      await readAll(caller.serverStream(method, messages[number % messages.length], options));
      return;
    case 'client-stream':
      await caller.clientStream(method, messages, options);
      return;
    case 'bidi-stream':
      await readAll(caller.bidiStream(method, messages, options));
      return;
    default:
      method.kind satisfies never;
  }
}

async function readAll(answers: AsyncIterable<unknown>): Promise<void> {
  for await (const _answer of answers); // counted where it is decoded
}

function reportOf(
  options: RpcBenchOptions,
  method: MethodContract,
  run: LoadRun,
  counts: MessageCounts,
  clientCpuSeconds: number,
  interrupted: boolean,
): BenchReport {
  const { latencies, seconds } = run;
  const perSecond = (amount: number): number => (seconds > 0 ? amount / seconds : 0);
  return {
    event: 'result',
    method: method.path,
    kind: method.kind,
    target: options.target ?? '',
    connections: options.connections,
    concurrency: options.concurrency,
    rate: options.rate,
    seconds: rounded(seconds),
    calls: run.ended,
    failed: run.failed,
    callsPerSecond: rounded(perSecond(run.ended)),
    latencyMs: {
      min: rounded(latencies.minMs),
      mean: rounded(latencies.meanMs),
      ...Object.fromEntries(
        QUANTILES.map((quantile) => [`p${quantile}`, rounded(latencies.quantileMs(quantile / 100))]),
      ),
      max: rounded(latencies.maxMs),
    },
    histogram: latencies.rows(),
    errors: Array.from(run.failures.values(), ({ code, count, error }) => ({
      code,
      count,
      message: error instanceof Error ? error.message : String(error),
    })),
    messagesSent: counts.messagesSent,
    messagesReceived: counts.messagesReceived,
    bytesSent: counts.bytesSent,
    bytesReceived: counts.bytesReceived,
    clientCpuSeconds: rounded(clientCpuSeconds),
    clientCpuShare: rounded(perSecond(clientCpuSeconds)),
    unsent: run.unsent,
    interrupted,
  };
}

function exitCodeOf(run: LoadRun, interrupted: boolean): number {
  if (interrupted) return EXIT_INTERRUPTED;
  if (run.failed < run.ended || run.ended === 0) return 0;
  const isAllUnreached = Array.from(run.failures.values()).every(
    ({ error }) => error instanceof RpcError && isUnreached(error),
  );
  return isAllUnreached ? EXIT_UNREACHABLE : EXIT_FAILED;
}

function rounded(value: number): number {
  return Math.round(value * 1e4) / 1e4;
}

/** How it goes: a line that is rewritten on a terminal, JSON lines with --json, nothing otherwise. */
class Progress {
  readonly #io: Io;
  readonly #json: boolean;
  readonly #run: LoadRun;
  readonly #timer: NodeJS.Timeout | null;
  readonly #beginMs = performance.now();
  #before = { ms: performance.now(), calls: 0 };

  constructor(io: Io, json: boolean, run: LoadRun) {
    this.#io = io;
    this.#json = json;
    this.#run = run;
    this.#timer = json || io.stdout.isTTY === true ? setInterval(() => this.#show(), PROGRESS_MS) : null;
  }

  close(): void {
    if (this.#timer === null) return;
    clearInterval(this.#timer);
    if (!this.#json) this.#io.stdout.write(CLEAR_LINE);
  }

  #show(): void {
    const ms = performance.now();
    const { ended: calls, failed, inFlight } = this.#run;
    const callsPerSecond = Math.round(((calls - this.#before.calls) * 1000) / (ms - this.#before.ms));
    this.#before = { ms, calls };
    const facts = { seconds: rounded((ms - this.#beginMs) / 1000), calls, failed, inFlight, callsPerSecond };
    this.#io.stdout.write(
      this.#json
        ? `${JSON.stringify({ event: 'stats', ...facts })}\n`
        : CLEAR_LINE + progressText(facts, this.#io.stdout.columns || COLUMNS_DEFAULT),
    );
  }
}
