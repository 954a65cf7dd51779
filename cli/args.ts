// Reads a command line: which command, its options, or the text to print instead (help, version, completion).
// yargs knows the grammar, the help and the completion; flags.ts decides where values come from.
// Pure but for the configuration file, which the caller's `readFile` provides.

import { parse as parseYaml } from 'yaml';
import yargs, { type Argv } from 'yargs';
import { takeActivatedSockets } from '../reactor/index.js';
import { type Flag, type FlagTable, type FlagTexts, resolveFlags, UsageError } from './flags.js';
import { nearest } from './nearest.js';
import { SERVE_FLAGS, type ServeFlags } from './serve-flags.js';
import { completeServeOptions, type ServeOptions } from './serve-options.js';

export type Command =
  | { readonly kind: 'serve'; readonly options: ServeOptions }
  | { readonly kind: 'bench'; readonly args: readonly string[] }
  | { readonly kind: 'print'; readonly text: string };

export interface ArgsContext {
  readonly environment: NodeJS.ProcessEnv;
  readonly version: string;
  /** Columns of the terminal, for help. */
  readonly columns: number;
  readFile(path: string): string;
}

/** @throws UsageError with one line that names the flag and what would be right */
export async function parseArgs(args: readonly string[], context: ArgsContext): Promise<Command> {
  // The benches read their own flags: they are a program of the checkout, which an installed package lacks.
  if (args[0] === 'bench') return { kind: 'bench', args: args.slice(1) };
  const { parsed, text } = await runYargs(args, context);
  if (text !== '') return { kind: 'print', text };
  refuseOddSwitches(args, SERVE_FLAGS);
  if (args.includes('--')) throw new UsageError('"--" is not expected here: every value follows its flag');
  const options = resolveFlags(SERVE_FLAGS, {
    commandLine: commandLineTexts(parsed, SERVE_FLAGS),
    environment: context.environment,
    file: fileTexts(parsed, SERVE_FLAGS, context),
  });
  refuseUnreadable(options, context);
  const activated = takeActivatedSockets(context.environment).map(({ name, fd }) => [name, fd] as const);
  return { kind: 'serve', options: completeServeOptions(options, new Map(activated)) };
}

type Parsed = Readonly<Record<string, unknown>>;

/** What yargs calls to complete a word; `usual` is its own way. */
type CompleteWord = (
  current: string,
  parsed: unknown,
  usual: () => void,
  done: (words: string[]) => void,
) => void;

async function runYargs(
  args: readonly string[],
  { version, columns }: ArgsContext,
): Promise<{ parsed: Parsed; text: string }> {
  const completeWord: CompleteWord = (_current, _parsed, usual, done) => {
    const choices = choicesOf(args.at(-2), SERVE_FLAGS);
    if (choices === null) usual();
    else done([...choices]);
  };
  const parser = yargs()
    .scriptName('reactor-net')
    .usage('$0 <area> <verb>: an event-loop server over worker threads')
    .locale('en')
    .parserConfiguration({ 'camel-case-expansion': false, 'dot-notation': false, 'parse-numbers': false })
    .command('serve', 'run the example server, or your handler modules, on all cores', (command) =>
      declareFlags(command, SERVE_FLAGS),
    )
    .command('bench', 'measure it; bench --help lists the suites')
    .completion('completion', 'print a completion script for bash or zsh', completeWord)
    .demandCommand(1, 'name an area: serve, bench or completion')
    .strict()
    .strictCommands()
    .help()
    .version(version)
    .wrap(Math.min(columns, 110))
    .exitProcess(false)
    .fail((message: string | null, error: Error | null) => {
      throw new UsageError(explain(message ?? error?.message ?? 'unreadable', args));
    });
  let text = '';
  const parsed = await parser.parseAsync([...args], {}, (_error, _parsed, output) => {
    text ||= output;
  });
  return { parsed, text };
}

/** Says in our words what yargs found wrong, and what would be right. */
function explain(message: string, args: readonly string[]): string {
  const [, kind, names = ''] =
    /^(Unknown arguments?|Unknown commands?|Not enough arguments following): (.+)/.exec(message) ?? [];
  const name = names.split(', ', 1)[0] ?? '';
  if (kind === undefined) return message;
  if (kind.startsWith('Not enough')) return `--${name}: a value must follow`;
  if (name === args[0]) return `"${name}" is no area: serve, bench and completion are`;
  const isFlag = args.some(
    (arg) => arg === `--${name}` || arg.startsWith(`--${name}=`) || arg === `-${name}`,
  );
  if (!isFlag) return `"${name}" is not expected here: every value follows its flag`;
  const known = Object.values(SERVE_FLAGS).map(({ flag }) => flag);
  const given = args.includes(`-${name}`) ? `-${name}` : `--${name}`;
  return `${given}: no such flag; did you mean --${nearest(name, known)}? --help lists them`;
}

function declareFlags<Options>(command: Argv, table: FlagTable<Options>): Argv {
  let declared = command;
  for (const flag of Object.values<Flag<unknown>>(table)) {
    declared = declared.option(flag.flag, {
      type: flag.value === undefined ? 'boolean' : 'string',
      requiresArg: flag.value !== undefined,
      describe: flag.value === undefined ? flag.summary : `${flag.value}: ${flag.summary}`,
      group: flag.group,
      hidden: flag.hidden ?? false,
      ...(flag.fallbackText === undefined ? {} : { defaultDescription: flag.fallbackText }),
    });
  }
  return declared.option('config', {
    type: 'string',
    requiresArg: true,
    describe: 'FILE: YAML with flags as keys',
    group: 'Running it:',
  });
}

function commandLineTexts<Options>(parsed: Parsed, table: FlagTable<Options>): FlagTexts {
  const texts = new Map<string, string>();
  for (const { flag } of Object.values<Flag<unknown>>(table)) {
    const value = parsed[flag];
    if (Array.isArray(value)) throw new UsageError(`--${flag}: give it once, not ${value.length} times`);
    if (typeof value === 'string' || typeof value === 'boolean') texts.set(flag, String(value));
  }
  return texts;
}

/** What may follow this word of the command line, where it is a flag with few values. */
function choicesOf<Options>(word: string | undefined, table: FlagTable<Options>): readonly string[] | null {
  const flags = Object.values<Flag<unknown>>(table);
  return flags.find(({ flag, choices }) => choices !== undefined && word === `--${flag}`)?.choices ?? null;
}

/** yargs reads `--json=maybe` as false; here it is a mistake. */
function refuseOddSwitches<Options>(args: readonly string[], table: FlagTable<Options>): void {
  for (const { flag, value } of Object.values<Flag<unknown>>(table)) {
    if (value !== undefined) continue;
    const given = args.find((arg) => arg.startsWith(`--${flag}=`));
    if (given === undefined) continue;
    const text = given.slice(flag.length + 3);
    if (text !== 'true' && text !== 'false')
      throw new UsageError(`--${flag}: "${text}" should be true or false`);
  }
}

/** Found here, the mistake is named by its flag; later it would be a listener that cannot start. */
function refuseUnreadable(flags: ServeFlags, context: ArgsContext): void {
  for (const key of ['tlsCert', 'tlsKey', 'tlsCa'] as const) {
    const path = flags[key];
    if (path === null) continue;
    try {
      context.readFile(path);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new UsageError(`--${SERVE_FLAGS[key].flag}: should be a file that can be read: ${reason}`);
    }
  }
}

function fileTexts<Options>(parsed: Parsed, table: FlagTable<Options>, context: ArgsContext): FlagTexts {
  const path = parsed['config'] ?? context.environment['REACTOR_NET_CONFIG'];
  if (path === undefined) return new Map();
  if (typeof path !== 'string') throw new UsageError('--config: give one file');
  const known = Object.values<Flag<unknown>>(table).map(({ flag }) => flag);
  const texts = new Map<string, string>();
  for (const [key, value] of Object.entries(readYamlObject(path, context))) {
    if (!known.includes(key)) {
      throw new UsageError(
        `--config: ${path} has no such flag: "${key}"; did you mean "${nearest(key, known)}"?`,
      );
    }
    if (typeof value === 'object')
      throw new UsageError(`--config: ${path}: "${key}" should be one plain value`);
    texts.set(key, String(value));
  }
  return texts;
}

function readYamlObject(path: string, context: ArgsContext): object {
  let document: unknown;
  try {
    document = parseYaml(context.readFile(path), { logLevel: 'error' }); // what it only warns about is no flag anyway;
  } catch (error) {
    const [reason] = (error instanceof Error ? error.message : String(error)).split('\n', 1);
    throw new UsageError(`--config: ${path} should be a readable YAML file: ${reason}`);
  }
  if (document === null) return {};
  if (typeof document === 'object' && !Array.isArray(document)) return document;
  throw new UsageError(`--config: ${path} should hold flags as keys, such as "threads: 2"`);
}
