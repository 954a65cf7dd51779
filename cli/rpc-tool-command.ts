// `reactor-net rpc list | describe | call | bench` as commands: their flags. rpc-list.ts, rpc-describe.ts, rpc-call.ts and
// rpc-bench.ts carry them out; rpc-target-flags.ts has what they share.

import { type CommandSpec, declareCommand, type Operands } from './command-spec.js';
import {
  type Flag,
  type FlagTable,
  readCount,
  readSeconds,
  readSwitch,
  readText,
  UsageError,
} from './flags.js';
import { checkTarget, TARGET_FLAGS, type TargetFlags } from './rpc-target-flags.js';

export interface ListOptions extends TargetFlags {
  readonly verb: 'list';
  /** Null: the services; else the methods of this one. */
  readonly service: string | null;
}

interface DescribeFlags extends TargetFlags {
  template: boolean;
}

export interface DescribeOptions extends DescribeFlags {
  readonly verb: 'describe';
  /** Null: every service. */
  readonly symbol: string | null;
}

interface CallFlags extends TargetFlags {
  data: string | null;
  verbose: boolean;
}

export interface CallToolOptions extends CallFlags {
  readonly verb: 'call';
  readonly method: string;
}

interface BenchFlags extends TargetFlags {
  data: string | null;
  connections: number;
  concurrency: number;
  /** Calls per second; null: as fast as answers come. */
  rate: number | null;
  durationMs: number | null;
  requests: number | null;
  warmupMs: number;
}

export interface RpcBenchOptions extends BenchFlags {
  readonly verb: 'bench';
  readonly method: string;
}

const METHOD: Operands = {
  name: 'method',
  count: 'one',
  summary: 'SERVICE/METHOD, such as demo.Echo/Say; rpc list shows them',
};
const SERVICE: Operands = { name: 'service', count: 'optional', summary: 'show the methods of this one' };
const SYMBOL: Operands = {
  name: 'symbol',
  count: 'optional',
  summary: 'a service, SERVICE/METHOD, a message or an enum, by its full name',
};

const OUTPUT = 'Output:';
const LOAD = 'Load:';
const CONCURRENCY_MAX = 100_000;
const CONNECTIONS_MAX = 10_000;
const RATE_MAX = 10_000_000;
const REQUESTS_MAX = 1_000_000_000;
const DURATION_MS_MAX = 24 * 3_600_000;

const DATA_FLAG: Flag<string | null> = {
  flag: 'data',
  value: 'JSON',
  group: 'Calls:',
  summary: 'the request; several one after the other for streams; @ reads standard input, @FILE a file',
  read: readText,
  fallback: null,
  fallbackText: 'an empty message, or none for streams',
};

const DESCRIBE_FLAGS: FlagTable<DescribeFlags> = {
  ...TARGET_FLAGS,
  template: {
    flag: 'template',
    group: OUTPUT,
    summary: 'print a message, or the request of a method, as JSON to fill in',
    read: readSwitch,
    fallback: false,
  },
};

const CALL_FLAGS: FlagTable<CallFlags> = {
  ...TARGET_FLAGS,
  timeoutMs: { ...TARGET_FLAGS.timeoutMs, fallbackText: '10s; none for streams' },
  data: DATA_FLAG,
  verbose: {
    flag: 'verbose',
    group: 'Calls:',
    summary: 'also say on standard error what is called, and show headers and trailers',
    read: readSwitch,
    fallback: false,
  },
};

const BENCH_FLAGS: FlagTable<BenchFlags> = {
  ...TARGET_FLAGS,
  data: {
    ...DATA_FLAG,
    summary: 'the request; several are sent in turn, by streams one after the other; @FILE',
  },
  connections: {
    flag: 'connections',
    value: 'N',
    group: LOAD,
    summary: 'connections to every instance',
    read: readCount(1, CONNECTIONS_MAX),
    fallback: 1,
    fallbackText: '1',
  },
  concurrency: {
    flag: 'concurrency',
    value: 'N',
    group: LOAD,
    summary: 'calls in flight at most, over all connections',
    read: readCount(1, CONCURRENCY_MAX),
    fallback: 50,
    fallbackText: '50',
  },
  rate: {
    flag: 'rate',
    value: 'R',
    group: LOAD,
    summary: 'calls that fall due per second, whether answers come or not',
    read: readCount(1, RATE_MAX),
    fallback: null,
    fallbackText: 'as fast as answers come',
  },
  durationMs: {
    flag: 'duration',
    value: 'TIME',
    group: LOAD,
    summary: 'how long, in seconds or such as 2m',
    read: readSeconds,
    fallback: null,
    fallbackText: '10s',
  },
  requests: {
    flag: 'requests',
    value: 'N',
    group: LOAD,
    summary: 'how many calls, instead of --duration',
    read: readCount(1, REQUESTS_MAX),
    fallback: null,
  },
  warmupMs: {
    flag: 'warmup',
    value: 'TIME',
    group: LOAD,
    summary: 'time before that whose calls are not counted',
    read: (text) => (/^0(ms|s|m|h)?$/.test(text) ? 0 : readSeconds(text)),
    fallback: 0,
    fallbackText: '0',
  },
};

export const RPC_TOOL_COMMANDS: readonly CommandSpec[] = [
  declareCommand({
    words: ['rpc', 'list'],
    summary: 'the services of a server or of .proto files, or the methods of one',
    operands: SERVICE,
    flags: TARGET_FLAGS,
    complete: (flags, [service = null], context) => {
      checkTarget(flags, context, flags.proto.length === 0);
      return { kind: 'rpc', options: { ...flags, verb: 'list', service } };
    },
  }),
  declareCommand({
    words: ['rpc', 'describe'],
    summary: 'what a service, method, message or enum is',
    operands: SYMBOL,
    flags: DESCRIBE_FLAGS,
    complete: (flags, [symbol = null], context) => {
      checkTarget(flags, context, flags.proto.length === 0);
      if (flags.template && symbol === null)
        throw new UsageError('--template: name a message or a method to make one for');
      return { kind: 'rpc', options: { ...flags, verb: 'describe', symbol } };
    },
  }),
  declareCommand({
    words: ['rpc', 'call'],
    summary: 'call a method: JSON in, JSON out, streams included',
    operands: METHOD,
    flags: CALL_FLAGS,
    complete: (flags, [method = ''], context) => {
      checkTarget(flags, context, true);
      checkMethod(method);
      return { kind: 'rpc', options: { ...flags, verb: 'call', method } };
    },
  }),
  declareCommand({
    words: ['rpc', 'bench'],
    summary: 'call a method many times and measure it',
    operands: METHOD,
    flags: BENCH_FLAGS,
    complete: (flags, [method = ''], context) => {
      checkTarget(flags, context, true);
      checkMethod(method);
      const { durationMs, requests, connections, concurrency } = flags;
      if (durationMs !== null && requests !== null)
        throw new UsageError('--requests: give either this or --duration');
      if (durationMs !== null && durationMs > DURATION_MS_MAX)
        throw new UsageError('--duration: should be a day at most');
      if (connections > concurrency)
        throw new UsageError('--connections: should not be more than --concurrency, or some have no call');
      return { kind: 'rpc', options: { ...flags, verb: 'bench', method } };
    },
  }),
];

function checkMethod(method: string): void {
  if (/^\/?[\w.]+[/.]\w+$/.test(method)) return;
  throw new UsageError(`"${method}" should be SERVICE/METHOD, such as demo.Echo/Say`);
}
