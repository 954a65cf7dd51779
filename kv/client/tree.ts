// The tree view of the store, as ZooKeeper's users know it: nodes at paths, children, numbered and ephemeral nodes.
// Clerk.tree is one. A node is a key, so `get`, `put` and watches work on it as well.

import { type BytesLike, bytesOf, bufferOf, type KvPair, pairOf } from './pair.js';
import {
  deleteAnswer,
  keeping,
  type Operation,
  read,
  sequentialAnswer,
  type SequentialAnswer,
  write,
} from './operations.js';
import type { ReadOptions, RequestOptions } from './clerk.js';

export interface CreateOptions extends RequestOptions {
  /** The node is ephemeral: it goes with this lease. */
  readonly lease?: number;
  readonly ttlMs?: number;
  /** Makes missing parents, with empty values. Else KV_NO_PARENT. */
  readonly makeParents?: boolean;
  /** The parent's next number, in ten digits, behind the path. */
  readonly sequential?: boolean;
}

export interface TreeChild {
  readonly name: string;
  /** Null where only deeper keys are there, made by a plain put, or names alone were asked for. */
  readonly pair: KvPair | null;
}

interface ChildrenPage {
  readonly children: readonly TreeChild[];
  readonly more: boolean;
  readonly lastKey: Buffer;
}

type Execute = <A>(operation: Operation<A>, options: ReadOptions) => Promise<A>;

export class ClerkTree {
  readonly #execute: Execute;

  constructor(execute: Execute) {
    this.#execute = execute;
  }

  /** Gives the key, which is the path unless it is numbered. @throws KvError KV_EXISTS, KV_NO_PARENT */
  create(path: BytesLike, value: BytesLike, options: CreateOptions = {}): Promise<SequentialAnswer> {
    const { makeParents = false, sequential = false } = options;
    const treeCreate = {
      path: bytesOf(path),
      value: bytesOf(value),
      ...keeping(options),
      makeParents,
      sequential,
    };
    return this.#execute(write({ treeCreate }, sequentialAnswer), options);
  }

  /** One step down, in the order of names, page by page. */
  async *children(
    path: BytesLike,
    options: ReadOptions & { readonly namesOnly?: boolean } = {},
  ): AsyncGenerator<TreeChild, void, undefined> {
    const { namesOnly = false } = options;
    let after: Buffer | null = null;
    for (;;) {
      const treeChildren = { path: bytesOf(path), namesOnly, ...(after === null ? {} : { after }) };
      const operation = read(
        { treeChildren },
        ({ children }): ChildrenPage => ({
          children: (children?.children ?? []).map(({ name, kv }) => ({
            name: bufferOf(name).toString('utf8'),
            pair: pairOf(kv),
          })),
          more: children?.more ?? false,
          lastKey: bufferOf(children?.lastKey ?? new Uint8Array()),
        }),
      );
      const page: ChildrenPage = await this.#execute(operation, options);
      yield* page.children;
      if (!page.more) return;
      after = page.lastKey;
    }
  }

  /** Gives how many nodes went. @throws KvError KV_NOT_EMPTY, KV_NOT_FOUND */
  async delete(
    path: BytesLike,
    options: RequestOptions & { readonly recursive?: boolean } = {},
  ): Promise<number> {
    const { recursive = false } = options;
    let deleted = 0;
    for (;;) {
      const operation = write({ treeDelete: { path: bytesOf(path), recursive } }, deleteAnswer);
      const answer = await this.#execute(operation, options);
      deleted += answer.deleted;
      if (!answer.more) return deleted;
    }
  }
}
