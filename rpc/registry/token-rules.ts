// Who may do what: names, the tokens they show, and the services each may register.
// token-file.ts reads it from a file and again when that changes; access.ts asks it for every call. Pure.
// Only digests of tokens are kept, and no message of ours holds one.

import { createHash, timingSafeEqual } from 'node:crypto';
import { parse, YAMLParseError } from 'yaml';
import { RpcError } from '../errors.js';

export interface Rights {
  readonly name: string;
  mayRegister(service: string): boolean;
  /** May let what the guard holds expire. */
  readonly mayConfirm: boolean;
}

interface Rule extends Rights {
  /** SHA-256 of the token; null for a name that client certificates show. */
  readonly digest: Buffer | null;
}

/** Anything shorter can be guessed. */
const TOKEN_LENGTH_MIN = 16;
const RULES_MAX = 10_000;
const FIELDS: ReadonlySet<string> = new Set(['name', 'token', 'sha256', 'register', 'confirm']);

export class TokenRules {
  readonly #rules: readonly Rule[];
  readonly #byName: ReadonlyMap<string, Rule>;

  private constructor(rules: readonly Rule[]) {
    this.#rules = rules;
    this.#byName = new Map(rules.map((rule) => [rule.name, rule]));
  }

  /**
   * @param text YAML: `tokens:` and under it a list of `name`, `token` or `sha256`, `register` (patterns with `*`;
   * without it the token may only look), `confirm`
   * @throws RpcError RPC_OPTION_INVALID that says where, and never what a token is
   */
  static parse(text: string): TokenRules {
    const entries = entriesOf(text);
    const rules = entries.map((entry, index) => ruleOf(entry, `entry ${index + 1}`));
    const names = new Set(rules.map(({ name }) => name));
    if (names.size < rules.length) throw wrong('names must differ');
    return new TokenRules(rules);
  }

  get size(): number {
    return this.#rules.length;
  }

  /** Whose token it is; null for nobody's. Takes as long whichever it is. */
  nameOf(token: string): string | null {
    const shown = digestOf(token);
    let found: string | null = null;
    for (const { name, digest } of this.#rules) {
      if (digest !== null && timingSafeEqual(digest, shown)) found = name;
    }
    return found;
  }

  rightsOf(name: string): Rights | null {
    return this.#byName.get(name) ?? null;
  }
}

function entriesOf(text: string): readonly unknown[] {
  let document: unknown;
  try {
    document = parse(text, { prettyErrors: false });
  } catch (error) {
    // The parser's own message quotes the line, and with it perhaps a token.
    const at = error instanceof YAMLParseError ? text.slice(0, error.pos[0]).split('\n').length : 1;
    throw wrong(`line ${at} is no YAML`);
  }
  const tokens = isRecord(document) ? document['tokens'] : undefined;
  if (!Array.isArray(tokens)) throw wrong('it must have a list "tokens"');
  if (tokens.length > RULES_MAX) throw wrong(`${tokens.length} entries, above ${RULES_MAX}`);
  return tokens;
}

function ruleOf(entry: unknown, where: string): Rule {
  if (!isRecord(entry)) throw wrong(`${where} must have name, and token or sha256`);
  const odd = Object.keys(entry).find((key) => !FIELDS.has(key));
  if (odd !== undefined) throw wrong(`${where} has a field that is not ${[...FIELDS].join(', ')}`);
  const { name, token, sha256, register = [], confirm = false } = entry;
  if (typeof name !== 'string' || name === '') throw wrong(`${where} needs a name`);
  if (typeof confirm !== 'boolean') throw wrong(`${name}: confirm must be true or false`);
  if (!Array.isArray(register) || !register.every((pattern) => typeof pattern === 'string' && pattern !== ''))
    throw wrong(`${name}: register must be a list of service patterns, such as [demo.*]`);
  const patterns = (register as string[]).map(patternOf);
  return {
    name,
    digest: digestOfEntry(name, token, sha256),
    mayRegister: (service) => patterns.some((pattern) => pattern.test(service)),
    mayConfirm: confirm,
  };
}

function digestOfEntry(name: string, token: unknown, sha256: unknown): Buffer | null {
  if (token !== undefined && sha256 !== undefined) throw wrong(`${name}: give token or sha256, not both`);
  if (sha256 !== undefined) {
    if (typeof sha256 === 'string' && /^[0-9a-f]{64}$/i.test(sha256)) return Buffer.from(sha256, 'hex');
    throw wrong(`${name}: sha256 must be 64 hexadecimal digits`);
  }
  if (token === undefined) return null;
  if (typeof token === 'string' && token.length >= TOKEN_LENGTH_MIN) return digestOf(token);
  throw wrong(`${name}: token must be text of ${TOKEN_LENGTH_MIN} characters or more`);
}

/** `*` stands for any characters, dots too; everything else for itself. */
function patternOf(pattern: string): RegExp {
  const escaped = pattern.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll(/\*+/g, '.*');
  return new RegExp(`^${escaped}$`, 's');
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token, 'utf8').digest();
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrong(reason: string): RpcError {
  return new RpcError('RPC_OPTION_INVALID', `the token file: ${reason}`);
}
