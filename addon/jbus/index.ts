// The door of the jbus layer: re-exports only.
export type { ShmHeader, ShmSide, ShmStatus } from '../index.js';
export type { JbusErrorCode, JbusErrorOptions } from './errors.js';
export { JbusError } from './errors.js';
export { channelHash, isJbusKey, keyText, NODE_ID_MAX, pairKey, twinKey } from './keys.js';
export * from './layout.js';
export { PYTHON_PEER } from './python-peer.js';
export type { RecordBatchOptions } from './record-batch.js';
export { RecordBatch } from './record-batch.js';
export type { RingReaderOptions, RingRecord } from './ring-reader.js';
export { RingReader } from './ring-reader.js';
export type { RingWriterOptions } from './ring-writer.js';
export { RingWriter } from './ring-writer.js';
export type { ShmManagerOptions } from './shm-manager.js';
export { inspectKey, isStale, removeSegment, ShmManager } from './shm-manager.js';
export type { ShmRingExpectation, ShmRingOptions } from './shm-ring.js';
export { ShmRing } from './shm-ring.js';
export { ShmSegment } from './shm-segment.js';
