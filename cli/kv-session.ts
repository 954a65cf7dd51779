// What the client commands of the area `kv` stand on: a clerk as their flags say, how keys and values are read and shown,
// how a failure is told. Exit codes: 1 the store said no, 3 nobody was reached.

import { readFileSync } from 'node:fs';
import { Clerk, type ClerkOptions, KvError, type KvPair } from '../kv/index.js';
import { UsageError } from './flags.js';
import { isTls, type KvTargetFlags } from './kv-client-flags.js';
import { EXIT_FAILED, EXIT_UNREACHABLE, type Io } from './main.js';

export function clerkOptionsOf(flags: KvTargetFlags): ClerkOptions {
  const { endpoints, clusterId, timeoutMs, tokenFile, tlsCa, tlsCert, tlsKey, tlsServerName } = flags;
  const tls = {
    ...(tlsCa === null ? {} : { caFile: tlsCa }),
    ...(tlsCert === null || tlsKey === null ? {} : { certFile: tlsCert, keyFile: tlsKey }),
    ...(tlsServerName === null ? {} : { serverName: tlsServerName }),
  };
  return {
    endpoints: endpoints ?? [],
    ...(clusterId === null ? {} : { clusterId }),
    timeoutMs,
    ...(tokenFile === null ? {} : { token: readFileSync(tokenFile, 'utf8').trim() }),
    ...(isTls(flags) ? { tls } : {}),
  };
}

/** Runs `work` with a clerk, which is closed behind it; words what fails. @returns the exit code */
export async function withClerk(
  flags: KvTargetFlags,
  io: Io,
  work: (clerk: Clerk) => Promise<number>,
): Promise<number> {
  const clerk = new Clerk(clerkOptionsOf(flags));
  try {
    return await work(clerk);
  } catch (error) {
    return reportKvFailure(error, io, flags.json);
  } finally {
    await clerk.close();
  }
}

const UNREACHED: ReadonlySet<string> = new Set(['KV_UNREACHABLE', 'KV_NO_LEADER', 'KV_TIMEOUT']);

/** Prints it on standard error. @returns the exit code */
export function reportKvFailure(error: unknown, io: Io, json: boolean): number {
  if (!(error instanceof KvError)) throw error;
  const { code, message } = error;
  if (json) io.stderr.write(`${JSON.stringify({ event: 'error', code, message })}\n`);
  else io.stderr.write(`reactor-net: ${code}: ${message}\n`);
  return UNREACHED.has(code) ? EXIT_UNREACHABLE : EXIT_FAILED;
}

/** A key or value of the command line. @throws UsageError */
export function bytesOfText(text: string, isHex: boolean): Buffer {
  if (!isHex) return Buffer.from(text, 'utf8');
  if (/^(?:[0-9a-f]{2})*$/i.test(text)) return Buffer.from(text, 'hex');
  throw new UsageError(`--hex: "${text}" should be pairs of hexadecimal digits`);
}

/** What is to be the value: an operand, a file, or standard input. @throws UsageError */
export async function valueOf(
  { value, file, hex }: { value: string | null; file: string | null; hex: boolean },
  io: Io,
): Promise<Buffer> {
  if (value !== null) return bytesOfText(value, hex);
  if (file !== '-') {
    try {
      return readFileSync(file ?? '');
    } catch (error) {
      throw new UsageError(`--file: should be a file that can be read: ${(error as Error).message}`);
    }
  }
  const chunks: Buffer[] = [];
  for await (const chunk of io.stdin ?? process.stdin) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks);
}

/** For people: text where the bytes are some, else hexadecimal digits. */
export function shownBytes(bytes: Buffer, isHex: boolean): string {
  return isHex || !isText(bytes) ? bytes.toString('hex') : bytes.toString('utf8');
}

/** `{"value":"…"}`, or `{"valueHex":"…"}` where it is no text or hexadecimal digits are wanted. */
export function jsonBytes(name: string, bytes: Buffer, isHex: boolean): Record<string, string> {
  if (isHex || !isText(bytes)) return { [`${name}Hex`]: bytes.toString('hex') };
  return { [name]: bytes.toString('utf8') };
}

export function pairFacts(pair: KvPair, isHex: boolean, withValue: boolean): object {
  const { key, value, createRevision, modRevision, version, lease, ttlMs, type } = pair;
  return {
    ...jsonBytes('key', key, isHex),
    ...(withValue && type === '' ? jsonBytes('value', value, isHex) : {}),
    createRevision,
    modRevision,
    version,
    ...(lease === 0 ? {} : { lease }),
    ...(ttlMs === 0 ? {} : { ttlMs }),
    ...(type === '' ? {} : { type }),
  };
}

function isText(bytes: Buffer): boolean {
  return Buffer.from(bytes.toString('utf8'), 'utf8').equals(bytes);
}
