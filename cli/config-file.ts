// The YAML file that `--config`, or REACTOR_NET_CONFIG, names: flags as keys, each with one plain value.
// args.ts asks it for the texts of one command; reading the file itself is the caller's.

import { parse as parseYaml } from 'yaml';
import type { ArgsContext, CommandSpec } from './command-spec.js';
import { type FlagTexts, UsageError } from './flags.js';
import { nearest } from './nearest.js';

/** @throws UsageError naming the file and what is wrong with it */
export function configTexts(flagValue: unknown, { flags }: CommandSpec, context: ArgsContext): FlagTexts {
  const path = flagValue ?? context.environment['REACTOR_NET_CONFIG'];
  if (path === undefined) return new Map();
  if (typeof path !== 'string') throw new UsageError('--config: give one file');
  const known = flags.map(({ flag }) => flag);
  const texts = new Map<string, string>();
  for (const [key, value] of Object.entries(readYamlObject(path, context))) {
    if (!known.includes(key)) {
      throw new UsageError(
        `--config: ${path} has no such flag: "${key}"; did you mean "${nearest(key, known)}"?`,
      );
    }
    const repeats = flags.find(({ flag }) => flag === key)?.repeats === true;
    if (repeats && Array.isArray(value) && value.every((each) => typeof each !== 'object')) {
      texts.set(key, value.map(String).join('\n'));
      continue;
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
    document = parseYaml(context.readFile(path), { logLevel: 'error' }); // what it only warns about is no flag anyway
  } catch (error) {
    const [reason] = (error instanceof Error ? error.message : String(error)).split('\n', 1);
    throw new UsageError(`--config: ${path} should be a readable YAML file: ${reason}`);
  }
  if (document === null) return {};
  if (typeof document === 'object' && !Array.isArray(document)) return document;
  throw new UsageError(`--config: ${path} should hold flags as keys, such as "threads: 2"`);
}
