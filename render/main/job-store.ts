// What a main node has to know after a restart, as a list of things that happened; and whoever keeps them.
// file-job-store.ts keeps them in a folder. A store that several main nodes share, so that one takes over from another,
// has the same interface: records come back in the order in which they were appended.

import type { Code, ErrCode } from '../proto/render.js';
import type { JobOwner } from './job-record.js';
import type { JobSpec } from './job-spec.js';
import type { KeptPlace } from './result-store.js';

export interface StoredImage {
  readonly index: number;
  readonly attempts: number;
  readonly renderMs: number;
  readonly node: string;
  readonly place: KeptPlace;
}

export type StoreRecord =
  /** A main node began with it; ids that earlier ones gave are below. */
  | { readonly kind: 'start'; readonly firstAttempt: number; readonly firstJob: number }
  | {
      readonly kind: 'driver';
      readonly key: number;
      readonly serial: number;
      readonly epoch: bigint;
      readonly name: string;
    }
  | { readonly kind: 'driver-gone'; readonly key: number }
  | {
      readonly kind: 'job';
      readonly job: number;
      readonly owner: JobOwner;
      readonly requestId: bigint;
      readonly spec: JobSpec;
      readonly submittedAt: number;
      readonly deadlineAt: number;
    }
  | { readonly kind: 'paused' | 'resumed'; readonly job: number }
  | { readonly kind: 'priority'; readonly job: number; readonly priority: number }
  | { readonly kind: 'image'; readonly job: number; readonly image: StoredImage }
  | {
      readonly kind: 'missing';
      readonly job: number;
      readonly first: number;
      readonly count: number;
      readonly code: ErrCode;
      readonly error: string;
      readonly attempts: number;
    }
  | {
      readonly kind: 'end';
      readonly job: number;
      readonly code: Code;
      readonly message: string;
      readonly at: number;
    }
  /** The missing images of a finished job were asked for again. */
  | { readonly kind: 'reopened'; readonly job: number; readonly deadlineAt: number }
  /** Its images are not kept any more. */
  | { readonly kind: 'dropped'; readonly job: number }
  | { readonly kind: 'forgotten'; readonly job: number };

export interface JobStore {
  /** Once, before all else: what was appended before. @throws RenderError RENDER_IO, RENDER_STATE */
  load(): Promise<readonly StoreRecord[]>;
  /** Is kept soon, after all that was appended before. */
  append(record: StoreRecord): void;
  /** Resolves when all that was appended is kept. @throws RenderError RENDER_IO */
  flush(): Promise<void>;
  /** Whether `compact` would make it much smaller. */
  readonly wantsCompaction: boolean;
  /** Replaces all that was appended by these records, which say the same. */
  compact(records: readonly StoreRecord[]): void;
  /** Keeps what was appended, and lets go. */
  close(): Promise<void>;
}
