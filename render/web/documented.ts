// What many routes say of themselves in the same words.

import type { ParameterDoc, ResponseDoc } from './route.js';
import { ref, type SchemaName } from './schemas.js';

const JSON_TYPE = 'application/json';

export function json(summary: string, schema: SchemaName): ResponseDoc {
  return { summary, type: JSON_TYPE, schema: ref(schema) };
}

export const NO_SUCH: Readonly<Record<number, ResponseDoc>> = {
  404: json('No such thing is there.', 'Error'),
};
export const BUSY: Readonly<Record<number, ResponseDoc>> = {
  503: json('Not now: again after Retry-After.', 'Error'),
};

export const JOB_ID: ParameterDoc = {
  name: 'id',
  summary: 'Id of a job.',
  schema: { type: 'integer', minimum: 0 },
};

export const IMAGE_INDEX: ParameterDoc = {
  name: 'index',
  summary: 'Which image of the job, from 0.',
  schema: { type: 'integer', minimum: 0 },
};

export const PAGING: readonly ParameterDoc[] = [
  { name: 'offset', summary: 'So many are skipped.', schema: { type: 'integer', minimum: 0, default: 0 } },
  {
    name: 'limit',
    summary: 'So many at most.',
    schema: { type: 'integer', minimum: 1, maximum: 1000, default: 100 },
  },
];

export const ID_MAX: number = Number.MAX_SAFE_INTEGER;
export const INDEX_MAX: number = 2 ** 32 - 1;
