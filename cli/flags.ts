// One flag of a command: how it is read from text, its default, its line of help; and where values come from.
// A command declares a table of flags; args.ts shows it to yargs; `resolveFlags` fills the command's options.
// Precedence: flag, environment (REACTOR_NET_<FLAG>), configuration file, default. Pure.

/** Wrong usage: the command ends with exit code 2 and this one line. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export interface Flag<T> {
  /** Without the dashes. */
  readonly flag: string;
  readonly summary: string;
  readonly group: string;
  /** The word for the value in help; a flag without one is a switch. */
  readonly value?: string;
  /** The values to complete, where they are few. */
  readonly choices?: readonly string[];
  readonly hidden?: boolean;
  /** May be given several times: `read` gets one value per line. */
  readonly repeats?: boolean;
  /** @throws UsageError whose message says what would be right; the caller names the flag. */
  readonly read: (text: string) => T;
  readonly fallback: T;
  /** The default as help shows it, where there is one. */
  readonly fallbackText?: string;
}

export type FlagTable<Options> = { readonly [Key in keyof Options]: Flag<Options[Key]> };

/** Texts by flag name, of one source. */
export type FlagTexts = ReadonlyMap<string, string>;

export interface FlagSources {
  readonly commandLine: FlagTexts;
  readonly environment: NodeJS.ProcessEnv;
  readonly file: FlagTexts;
}

/** @throws UsageError naming the flag, where its value came from, and what would be right. */
export function resolveFlags<Options extends object>(
  table: FlagTable<Options>,
  sources: FlagSources,
): Options {
  const entries = Object.entries<Flag<unknown>>(table);
  // The table has exactly the keys of Options, and each flag reads the type of its key.
  return Object.fromEntries(entries.map(([key, flag]) => [key, resolveFlag(flag, sources)])) as Options;
}

/** The environment without our variables, for a command that launches others and passes them flags. */
export function withoutFlagVariables(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => !name.startsWith(PREFIX) || KEPT.has(name)),
  );
}

const PREFIX = 'REACTOR_NET_';
/** Not a flag: it says where the native addon is, for every process of the package. */
const KEPT: ReadonlySet<string> = new Set(['REACTOR_NET_ADDON']);

function resolveFlag(flag: Flag<unknown>, sources: FlagSources): unknown {
  const name = flag.flag;
  const variable = PREFIX + name.toUpperCase().replaceAll('-', '_');
  const found = (
    [
      [sources.commandLine.get(name), `--${name}`],
      [sources.environment[variable], `--${name} (from ${variable})`],
      [sources.file.get(name), `--${name} (from the configuration file)`],
    ] as const
  ).find(([text]) => text !== undefined);
  const text = found?.[0];
  if (found === undefined || text === undefined) return flag.fallback;
  try {
    return flag.read(text);
  } catch (error) {
    if (error instanceof UsageError) throw new UsageError(`${found[1]}: ${error.message}`);
    throw error;
  }
}

// Readers, shared by the commands.

export function readSwitch(text: string): boolean {
  if (text === 'true' || text === '1') return true;
  if (text === 'false' || text === '0') return false;
  throw new UsageError(`"${text}" should be true or false`);
}

export function readText(text: string): string {
  if (text === '') throw new UsageError('the value is empty');
  return text;
}

export function readCount(lowest: number, highest: number): (text: string) => number {
  return (text) => {
    const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (count >= lowest && count <= highest) return count;
    throw new UsageError(`"${text}" should be a whole number from ${lowest} to ${highest}`);
  };
}

export function readChoice<T extends string>(choices: readonly T[]): (text: string) => T {
  return (text) => {
    const choice = choices.find((candidate) => candidate === text);
    if (choice !== undefined) return choice;
    throw new UsageError(`"${text}" should be one of ${choices.join(', ')}`);
  };
}

const MILLISECONDS_PER = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;
/** Node's timers and the reactor's deadlines end here, at about 24 days. */
const DURATION_MS_MAX = 2 ** 31 - 1;

/** `1500`, `1500ms`, `10s`, `5m`: a plain number is milliseconds. */
export function readDuration(text: string): number {
  const ms = durationMs(text, 'ms');
  if (!Number.isNaN(ms)) return ms;
  throw new UsageError(`"${text}" should be milliseconds, or a number with a unit such as 500ms, 10s or 5m`);
}

/** NaN: no duration, or one longer than timers go. */
function durationMs(text: string, plainUnit: keyof typeof MILLISECONDS_PER): number {
  const [, digits, unit = plainUnit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  const ms = Number(digits) * MILLISECONDS_PER[unit as keyof typeof MILLISECONDS_PER];
  return ms <= DURATION_MS_MAX ? Math.round(ms) : Number.NaN;
}

/** `10`, `500ms`, `2m`: a plain number is seconds, as in the tools for calls of other systems. */
export function readSeconds(text: string): number {
  const ms = durationMs(text, 's');
  if (ms > 0) return ms;
  if (ms === 0) throw new UsageError(`"${text}" should be above 0`);
  throw new UsageError(`"${text}" should be seconds, or a number with a unit such as 500ms, 10s or 5m`);
}

/** Of a flag that repeats: its values, each of which may itself be a list with commas. */
export function readList(text: string): readonly string[] {
  return text.split(/[,\n]/).map(readText);
}

const BYTES_PER = { '': 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** `65536`, `64KiB`, `1MiB`. */
export function readBytes(lowest: number, highest: number): (text: string) => number {
  return (text) => {
    const [, digits, unit = ''] = /^(\d+)(KiB|MiB|GiB)?$/.exec(text) ?? [];
    const bytes = Number(digits) * BYTES_PER[unit as keyof typeof BYTES_PER];
    if (bytes >= lowest && bytes <= highest) return bytes;
    throw new UsageError(
      `"${text}" should be ${lowest} to ${highest} bytes, as a number or such as 64KiB or 1MiB`,
    );
  };
}
