// The door of the KV layer: re-exports only.
// For now a library of parts, the ordered store and the durable log of the Raft KV; server and command line are not here yet.
export * from './errors.js';
export { keyFromBytes, keyFromText, keyToBytes, prefixEnd } from './key.js';
export { SkipList, type SkipListMemory, type SkipListOptions } from './skip-list.js';
export type { Entry, Page, PageOptions, Range } from './skip/range.js';
export type { SnapshotView } from './skip/snapshot-view.js';
