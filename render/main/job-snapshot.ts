// A job as the records that say all there is to know of it, for a store that begins anew. restored-state.ts reads them.

import { ErrCode } from '../proto/render.js';
import type { JobStatus } from './job.js';
import type { JobRecord } from './job-record.js';
import type { StoreRecord } from './job-store.js';
import type { ResultStore } from './result-store.js';

/** @param isDropped its images are not kept any more */
export function* jobSnapshot(
  record: JobRecord,
  { deadlineAt, priority, state }: JobStatus,
  results: ResultStore,
  isDropped: boolean,
): Iterable<StoreRecord> {
  const { id: job, owner, requestId, spec, submittedAt } = record;
  yield { kind: 'job', job, owner, requestId, spec, submittedAt, deadlineAt };
  if (priority !== spec.priority) yield { kind: 'priority', job, priority };
  if (state === 'paused') yield { kind: 'paused', job };
  for (const index of record.settled) {
    const { code, error, attempts, renderMs, nodeName: node } = record.facts(index);
    if (code !== ErrCode.EC_OK) yield { kind: 'missing', job, first: index, count: 1, code, error, attempts };
    const place = results.placeOf(job, index);
    if (place !== null) yield { kind: 'image', job, image: { index, attempts, renderMs, node, place } };
  }
  if (record.end === null || record.finishedAt === null) return;
  const { code, message } = record.end;
  yield { kind: 'end', job, code, message, at: record.finishedAt };
  if (isDropped) yield { kind: 'dropped', job };
}
