// Reads a command line: which command, its options, or the text to print instead (help, version, completion).
// yargs knows the grammar, the help and the completion; flags.ts decides where values come from.
// Pure but for the configuration file, which the caller's `readFile` provides.

import yargs, { type Argv } from 'yargs';
import type { ArgsContext, Command, CommandSpec, Operands } from './command-spec.js';
import { configTexts } from './config-file.js';
import { type FlagTexts, UsageError } from './flags.js';
import { KV_COMMANDS } from './kv-command.js';
import { nearest } from './nearest.js';
import { REGISTRY_COMMANDS } from './registry-command.js';
import { RENDER_COMMANDS } from './render-command.js';
import { RPC_COMMANDS } from './rpc-command.js';
import { SERVE_COMMAND } from './serve-command.js';
import { SHM_COMMANDS } from './shm-command.js';

export type { ArgsContext, Command } from './command-spec.js';

const COMMANDS: readonly CommandSpec[] = [
  SERVE_COMMAND,
  ...RPC_COMMANDS,
  ...REGISTRY_COMMANDS,
  ...KV_COMMANDS,
  ...RENDER_COMMANDS,
  ...SHM_COMMANDS,
];
/** Areas whose commands have a verb. */
const AREAS: readonly (readonly [area: string, summary: string])[] = [
  ['rpc', 'contracts and calls of RPC services'],
  ['registry', 'where servers say that they are there, and clients find them'],
  ['kv', 'a replicated key-value store, and any Redis client as its client'],
  ['render', 'a render farm: drivers ask, a main node shares out, worker nodes render'],
  ['shm', 'shared-memory segments'],
];
const AREA_NAMES = ['serve', 'rpc', 'registry', 'kv', 'render', 'shm', 'bench', 'completion'];

/** @throws UsageError with one line that names the flag and what would be right */
export async function parseArgs(args: readonly string[], context: ArgsContext): Promise<Command> {
  // The benches read their own flags: they are a program of the checkout, which an installed package lacks.
  if (args[0] === 'bench') return { kind: 'bench', args: args.slice(1) };
  const { parsed, text } = await runYargs(args, context);
  if (text !== '') return { kind: 'print', text };
  const spec = specOf(args);
  if (spec === undefined) throw new UsageError(`name an area: ${listed(AREA_NAMES, 'or')}`);
  refuseOddSwitches(args, spec);
  if (args.includes('--')) throw new UsageError('"--" is not expected here: every value follows its flag');
  const sources = {
    commandLine: commandLineTexts(parsed, spec),
    environment: context.environment,
    file: configTexts(parsed['config'], spec, context),
  };
  return spec.read(sources, operandTexts(parsed, spec), context);
}

type Parsed = Readonly<Record<string, unknown>>;

/** The command whose words these are, or begin with. */
function specOf(args: readonly string[]): CommandSpec | undefined {
  return COMMANDS.find(({ words }) => words.every((word, index) => args[index] === word));
}

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
    // Before the words of the command stand yargs' own flag and our name.
    const choices = choicesOf(args.at(-2), specOf(args.slice(2)));
    if (choices === null) usual();
    else done([...choices]);
  };
  const parser = yargs()
    .scriptName('reactor-net')
    .usage('$0 <area> <verb>: an event-loop server over worker threads')
    .locale('en')
    .parserConfiguration({
      'camel-case-expansion': false,
      'dot-notation': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
    });
  for (const spec of COMMANDS.filter(({ words }) => words.length === 1)) declareVerb(parser, spec);
  for (const [area, summary] of AREAS) {
    parser.command(area, summary, (inner) => {
      const verbs = COMMANDS.filter(({ words }) => words.length === 2 && words[0] === area);
      for (const spec of verbs) declareVerb(inner, spec);
      return inner.demandCommand(1, `name a verb of ${area}: ${listed(verbsOf(area), 'or')}`).strict();
    });
  }
  parser
    .command('bench', 'measure it; bench --help lists the suites')
    .completion('completion', 'print a completion script for bash or zsh', completeWord)
    .demandCommand(1, `name an area: ${listed(AREA_NAMES, 'or')}`)
    .strict()
    .strictCommands()
    .help()
    .version(version)
    .wrap(Math.min(columns, 110))
    .exitProcess(false)
    .fail((message: string | null, error: Error | null) => {
      throw error instanceof UsageError ? error : new UsageError(explain(message ?? error?.message, args));
    });
  let text = '';
  const parsed = await parser.parseAsync([...args], {}, (_error, _parsed, output) => {
    text ||= output;
  });
  return { parsed, text };
}

/** Says in our words what yargs found wrong, and what would be right. */
function explain(message: string | undefined, args: readonly string[]): string {
  if (message === undefined) return 'unreadable';
  const spec = specOf(args);
  if (message.startsWith('Not enough non-option arguments') && spec?.operands != null) {
    return `name ${/^[AEIOU]/.test(spec.operands.name) ? 'an' : 'a'} ${spec.operands.name}: ${spec.operands.summary}`;
  }
  const [, kind, names = ''] =
    /^(Unknown arguments?|Unknown commands?|Not enough arguments following): (.+)/.exec(message) ?? [];
  const name = names.split(', ', 1)[0] ?? '';
  if (kind === undefined) return message;
  if (kind.startsWith('Not enough')) return `--${name}: a value must follow`;
  const [area = ''] = args;
  if (name === area) return `"${name}" is no area: ${listed(AREA_NAMES, 'and')} are`;
  const isFlag = args.some(
    (arg) => arg === `--${name}` || arg.startsWith(`--${name}=`) || arg === `-${name}`,
  );
  if (!isFlag && spec === undefined) {
    return `"${name}" is no verb of ${area}: ${listed(verbsOf(area), 'and')} are`;
  }
  if (!isFlag) return `"${name}" is not expected here: every value follows its flag`;
  const given = args.includes(`-${name}`) ? `-${name}` : `--${name}`;
  const known = spec?.flags.map(({ flag }) => flag) ?? ['help'];
  return `${given}: no such flag; did you mean --${nearest(name, known)}? --help lists them`;
}

function verbsOf(area: string): string[] {
  return COMMANDS.filter(({ words }) => words[0] === area).flatMap(({ words }) => words.slice(1));
}

/** `a, b and c`. */
function listed(words: readonly string[], conjunction: 'and' | 'or'): string {
  return `${words.slice(0, -1).join(', ')} ${conjunction} ${words.at(-1)}`;
}

function declareVerb(parser: Argv, spec: CommandSpec): void {
  const { words, summary, operands } = spec;
  const usage = operands === null ? '' : ` ${operandUsage(operands)}`;
  parser.command(`${words.at(-1)}${usage}`, summary, (command) => {
    const declared = declareFlags(command, spec);
    if (operands === null) return declared;
    return declared.positional(operands.name, { type: 'string', describe: operands.summary });
  });
}

function operandUsage({ name, count = 'some' }: Operands): string {
  if (count === 'optional') return `[${name}]`;
  return count === 'one' ? `<${name}>` : `<${name}..>`;
}

function declareFlags(command: Argv, { flags }: CommandSpec): Argv {
  let declared = command;
  for (const flag of flags) {
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
    group: flags.at(-1)?.group ?? '',
  });
}

function commandLineTexts(parsed: Parsed, spec: CommandSpec): FlagTexts {
  const texts = new Map<string, string>();
  for (const { flag, repeats } of spec.flags) {
    const value = parsed[flag];
    if (Array.isArray(value) && repeats === true) texts.set(flag, value.map(String).join('\n'));
    else if (Array.isArray(value)) throw new UsageError(`--${flag}: give it once, not ${value.length} times`);
    if (typeof value === 'string' || typeof value === 'boolean') texts.set(flag, String(value));
  }
  return texts;
}

function operandTexts(parsed: Parsed, { operands }: CommandSpec): string[] {
  const texts = operands === null ? [] : parsed[operands.name];
  if (typeof texts === 'string') return [texts];
  return Array.isArray(texts) ? texts.map(String) : [];
}

/** What may follow this word of the command line, where it is a flag with few values. */
function choicesOf(word: string | undefined, spec: CommandSpec | undefined): readonly string[] | null {
  const flag = spec?.flags.find(({ flag: name, choices }) => choices !== undefined && word === `--${name}`);
  return flag?.choices ?? null;
}

/** yargs reads `--json=maybe` as false; here it is a mistake. */
function refuseOddSwitches(args: readonly string[], spec: CommandSpec): void {
  for (const { flag, value } of spec.flags) {
    if (value !== undefined) continue;
    const given = args.find((arg) => arg.startsWith(`--${flag}=`));
    if (given === undefined) continue;
    const text = given.slice(flag.length + 3);
    if (text !== 'true' && text !== 'false')
      throw new UsageError(`--${flag}: "${text}" should be true or false`);
  }
}
