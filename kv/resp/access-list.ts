// Who may do what: users with passwords, commands, keys and channels, from a YAML file.
// resp-client.ts asks it at AUTH and, for users who may not everything, before each command. Read-only while it runs;
// SIGHUP reads the file anew. A small part of what Redis calls ACL, in the words that ACL LIST shows.

import { createHash, timingSafeEqual } from 'node:crypto';
import { parse } from 'yaml';

import { KvError } from '../errors.js';
import { CATEGORIES } from './command-groups.js';
import { globMatches } from '../machine/commands/glob.js';

/** What permissions look at in a command. */
export interface JudgedCommand {
  readonly name: string;
  readonly categories: readonly string[];
}

export interface UserEntry {
  readonly name: string;
  /** SHA-256 of each password, 64 hexadecimal digits. */
  readonly passwords?: readonly string[];
  /** Any password will do, and the default user needs none. Default false. */
  readonly nopass?: boolean;
  /** Default true. */
  readonly enabled?: boolean;
  /** `+@read`, `-@dangerous`, `+get`, `-keys`, the later one counts. Default none. */
  readonly commands?: readonly string[];
  /** Patterns of keys. Default none. */
  readonly keys?: readonly string[];
  /** Patterns of channels. Default none. */
  readonly channels?: readonly string[];
}

/** What a stranger's password is compared with, so that an unknown name takes as long as a wrong password. */
const NOBODYS_PASSWORD = createHash('sha256').update('nobody').digest();
const RULE = /^[+-](@?[a-z0-9._|-]+)$/;
const USERS_MAX = 10_000;

export class User {
  readonly name: string;
  readonly isEnabled: boolean;
  readonly hasNoPassword: boolean;
  readonly passwords: readonly string[];
  readonly commands: readonly string[];
  readonly keys: readonly string[];
  readonly channels: readonly string[];
  /** May do everything: nothing is looked at per command. */
  readonly isUnlimited: boolean;
  readonly #mayRun = new Map<string, boolean>();

  constructor(entry: UserEntry) {
    this.name = entry.name;
    this.isEnabled = entry.enabled ?? true;
    this.hasNoPassword = entry.nopass ?? false;
    this.passwords = entry.passwords ?? [];
    this.commands = entry.commands ?? [];
    this.keys = entry.keys ?? [];
    this.channels = entry.channels ?? [];
    this.isUnlimited =
      this.commands.length === 1 &&
      this.commands[0] === '+@all' &&
      this.keys.includes('*') &&
      this.channels.includes('*');
  }

  mayRun(command: JudgedCommand): boolean {
    const known = this.#mayRun.get(command.name);
    if (known !== undefined) return known;
    let may = false;
    for (const rule of this.commands) {
      const what = rule.slice(1);
      const isMeant = what.startsWith('@')
        ? what === '@all' || command.categories.includes(what.slice(1))
        : what === command.name;
      if (isMeant) may = rule.startsWith('+');
    }
    this.#mayRun.set(command.name, may);
    return may;
  }

  mayTouch(key: string): boolean {
    return this.keys.some((pattern) => globMatches(pattern, key));
  }

  mayHear(channel: string): boolean {
    return this.channels.some((pattern) => globMatches(pattern, channel));
  }

  /** A pattern may be subscribed to if it is allowed as it stands. */
  mayHearPattern(pattern: string): boolean {
    return this.channels.some((allowed) => allowed === '*' || allowed === pattern);
  }

  /** As ACL LIST shows it. */
  describe(): string {
    const rules =
      this.commands.length === 0
        ? ['-@all']
        : this.commands[0] === '+@all'
          ? this.commands
          : ['-@all', ...this.commands];
    return [
      `user ${this.name}`,
      this.isEnabled ? 'on' : 'off',
      ...(this.hasNoPassword ? ['nopass'] : this.passwords.map((hash) => `#${hash}`)),
      ...(this.keys.length === 0 ? ['resetkeys'] : this.keys.map((key) => `~${key}`)),
      ...(this.channels.length === 0 ? ['resetchannels'] : this.channels.map((channel) => `&${channel}`)),
      ...rules,
    ].join(' ');
  }

  hasPassword(password: string): boolean {
    const shown = createHash('sha256').update(password, 'latin1').digest();
    let isKnown = false;
    for (const hash of this.passwords) {
      if (timingSafeEqual(Buffer.from(hash, 'hex'), shown)) isKnown = true;
    }
    return isKnown || this.hasNoPassword;
  }
}

export class AccessList {
  readonly users: ReadonlyMap<string, User>;
  readonly #default: User;

  /** @throws KvError KV_OPTION_INVALID */
  constructor(entries: readonly UserEntry[]) {
    const users = new Map<string, User>();
    for (const entry of entries) users.set(entry.name, new User(checkedEntry(entry)));
    if (users.size !== entries.length) throw invalid('a name is listed twice');
    this.#default =
      users.get('default') ?? new User({ name: 'default', enabled: entries.length === 0, ...EVERYTHING });
    users.set('default', this.#default);
    this.users = users;
  }

  /** Everybody may do everything. */
  static open(): AccessList {
    return new AccessList([]);
  }

  /** Text of a YAML file: `users:` with a list of entries. @throws KvError KV_OPTION_INVALID */
  static parse(text: string, name: string): AccessList {
    let document: unknown;
    try {
      document = parse(text);
    } catch (cause) {
      throw new KvError('KV_OPTION_INVALID', `users file ${name} is no YAML: ${(cause as Error).message}`, {
        cause,
      });
    }
    const entries = (document as { users?: unknown } | null)?.users;
    if (!Array.isArray(entries) || entries.length === 0 || entries.length > USERS_MAX)
      throw invalid(`${name} must have a list 'users' of 1 to ${USERS_MAX} entries`);
    try {
      return new AccessList(entries as UserEntry[]);
    } catch (error) {
      if (error instanceof KvError) throw invalid(`${name}: ${error.message}`);
      throw error;
    }
  }

  /** Who a client is before AUTH; null when it has to say who it is. */
  get stranger(): User | null {
    return this.#default.isEnabled && this.#default.hasNoPassword ? this.#default : null;
  }

  /** The default user has a password that could be given. */
  get isDefaultProtected(): boolean {
    return !this.#default.hasNoPassword || !this.#default.isEnabled;
  }

  /** The user of this name with this password; null for a wrong one and for a user that is disabled. */
  authenticate(name: string, password: string): User | null {
    const user = this.users.get(name);
    if (user === undefined) {
      timingSafeEqual(NOBODYS_PASSWORD, createHash('sha256').update(password, 'latin1').digest());
      return null;
    }
    return user.hasPassword(password) && user.isEnabled ? user : null;
  }
}

const EVERYTHING = { nopass: true, commands: ['+@all'], keys: ['*'], channels: ['*'] };

function checkedEntry(entry: UserEntry): UserEntry {
  if (typeof entry !== 'object' || entry === null) throw invalid('an entry is no mapping');
  const { name, passwords = [], commands = [], keys = [], channels = [], nopass, enabled } = entry;
  if (typeof name !== 'string' || !/^[\x21-\x7e]+$/.test(name))
    throw invalid('a name has to be printable, without blanks');
  for (const [what, list] of Object.entries({ passwords, commands, keys, channels })) {
    if (!Array.isArray(list) || list.some((each) => typeof each !== 'string'))
      throw invalid(`${what} of ${name} must be a list of texts`);
  }
  if (passwords.some((hash) => !/^[0-9a-f]{64}$/.test(hash)))
    throw invalid(`passwords of ${name} must be SHA-256 in 64 hexadecimal digits, lower case`);
  for (const rule of commands) {
    const what = RULE.exec(rule)?.[1];
    const isKnown =
      what !== undefined && (!what.startsWith('@') || what === '@all' || CATEGORIES.includes(what.slice(1)));
    if (!isKnown)
      throw invalid(`'${rule}' of ${name} must be + or - and a command or one of the @categories`);
  }
  for (const [what, flag] of Object.entries({ nopass, enabled })) {
    if (flag !== undefined && typeof flag !== 'boolean')
      throw invalid(`${what} of ${name} must be true or false`);
  }
  return entry;
}

function invalid(message: string): KvError {
  return new KvError('KV_OPTION_INVALID', `users: ${message}`);
}
