// Keeps the rules of a token file up to date: read at the start, when told to (SIGHUP), and when the file has changed.
// A file that is wrong changes nothing: the rules of before go on, and somebody is told.

import { readFile, stat } from 'node:fs/promises';
import { RpcError } from '../errors.js';
import type { Clock } from './clock.js';
import { TokenRules } from './token-rules.js';

export interface TokenFileParts {
  readonly clock: Clock;
  readonly onReload: (rules: TokenRules) => void;
  /** The message names the file and what is wrong, no token. */
  readonly onFailure: (error: RpcError) => void;
}

/** How often the file is looked at: renames, mounts and editors that replace files all show in its times. */
const LOOK_MS = 2000;

export class TokenFile {
  readonly path: string;
  readonly #parts: TokenFileParts;
  #rules: TokenRules;
  #stamp: string;
  #cancelLook: () => void = () => {};
  #isClosed = false;

  private constructor(path: string, rules: TokenRules, stamp: string, parts: TokenFileParts) {
    this.path = path;
    this.#rules = rules;
    this.#stamp = stamp;
    this.#parts = parts;
    this.#schedule();
  }

  /** @throws RpcError RPC_OPTION_INVALID */
  static async open(path: string, parts: TokenFileParts): Promise<TokenFile> {
    const stamp = await stampOf(path);
    return new TokenFile(path, await readRules(path), stamp, parts);
  }

  get rules(): TokenRules {
    return this.#rules;
  }

  /** Reads it now. @throws RpcError RPC_OPTION_INVALID: the old rules stay */
  async reload(): Promise<void> {
    const stamp = await stampOf(this.path);
    this.#stamp = stamp;
    this.#rules = await readRules(this.path);
    this.#parts.onReload(this.#rules);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelLook();
  }

  #schedule(): void {
    this.#cancelLook = this.#parts.clock.after(LOOK_MS, () => {
      void this.#look().finally(() => {
        if (!this.#isClosed) this.#schedule();
      });
    });
  }

  async #look(): Promise<void> {
    try {
      if ((await stampOf(this.path)) !== this.#stamp) await this.reload();
    } catch (error) {
      this.#parts.onFailure(error as RpcError); // both throw nothing else
    }
  }
}

async function readRules(path: string): Promise<TokenRules> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw unreadable(path, cause);
  }
  try {
    return TokenRules.parse(text);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    throw new RpcError(error.code, `${path}: ${error.message}`);
  }
}

/** Changes with the file; when it is gone, to something else. */
async function stampOf(path: string): Promise<string> {
  try {
    const { ino, size, mtimeMs } = await stat(path);
    return `${ino} ${size} ${mtimeMs}`;
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function unreadable(path: string, cause: unknown): RpcError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new RpcError('RPC_OPTION_INVALID', `the token file ${path} cannot be read: ${reason}`, { cause });
}
