// The structured log: pino on standard error, JSON lines, or pretty when a person is looking.
// The command line makes one per process and hands it down; each sub-reactor makes its own at the same level.
// The rest of the reactor knows the `Logger` interface alone, so an application may pass its own.

import { type DestinationStream, pino, stdTimeFunctions } from 'pino';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

type LogFunction = (fields: object, message: string) => void;

/** What the reactor asks of a logger; pino's loggers have this shape. */
export interface Logger {
  readonly level: string;
  trace: LogFunction;
  debug: LogFunction;
  info: LogFunction;
  warn: LogFunction;
  error: LogFunction;
  fatal: LogFunction;
}

export interface LoggerOptions {
  /** Default info. */
  level?: LogLevel;
  /** Lines for people instead of JSON. Default: standard error is a terminal. */
  pretty?: boolean;
  /** Fields of every line. Default none; pid and host name are left to the service manager. */
  fields?: Record<string, unknown>;
}

/** Writes synchronously, so that the last line before an exit is not lost. */
export async function createLogger(options: LoggerOptions = {}): Promise<Logger> {
  const pretty = options.pretty ?? process.stderr.isTTY;
  const destination = pretty ? await prettyDestination() : pino.destination({ fd: 2, sync: true });
  const logger: Logger = pino(
    { level: options.level ?? 'info', base: options.fields ?? null, timestamp: stdTimeFunctions.isoTime },
    destination,
  );
  return logger;
}

async function prettyDestination(): Promise<DestinationStream> {
  const { PinoPretty } = await import('pino-pretty'); // only where a person is looking: it costs 30 ms to load
  const colorize = process.stderr.isTTY && process.stderr.hasColors();
  return PinoPretty({ destination: 2, sync: true, colorize });
}
