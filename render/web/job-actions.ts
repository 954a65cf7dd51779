// What can be done to jobs, several at once. job-routes.ts calls it.

import { RenderError } from '../errors.js';
import type { Farm, FarmOutcome } from '../main/farm.js';

export const RENDER_ACTIONS = ['pause', 'resume', 'requeue', 'cancel', 'delete', 'priority'] as const;

export type RenderAction = (typeof RENDER_ACTIONS)[number];

export interface ActionRequest {
  readonly action: RenderAction;
  readonly ids: readonly number[];
  readonly priority: number;
}

const IDS_MAX = 1000;
const PRIORITY_MAX = 2 ** 31 - 1;

/** @throws RenderError RENDER_REQUEST_INVALID: what is wrong with it */
export function decodeAction(value: unknown): ActionRequest {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid('the body should be an object');
  const { action, ids, priority, ...others } = value as Record<string, unknown>; // an object: checked
  const [unknownKey] = Object.keys(others);
  if (unknownKey !== undefined)
    throw invalid(`the body has "${unknownKey.slice(0, 40)}", which means nothing`);
  const known = RENDER_ACTIONS.find((name) => name === action);
  if (known === undefined) throw invalid(`action should be one of ${RENDER_ACTIONS.join(', ')}`);
  if (!Array.isArray(ids) || ids.length === 0 || ids.length > IDS_MAX || !ids.every(isId))
    throw invalid(`ids should be 1 to ${IDS_MAX} ids of jobs`);
  if (known === 'priority' ? !isPriority(priority) : priority !== undefined)
    throw invalid('priority goes with the action priority, and is a whole number');
  return { action: known, ids: [...new Set(ids)], priority: isPriority(priority) ? priority : 0 };
}

export async function act(
  farm: Farm,
  { action, ids, priority }: ActionRequest,
): Promise<readonly FarmOutcome[]> {
  switch (action) {
    case 'pause':
      return await farm.pause(ids);
    case 'resume':
      return await farm.resume(ids);
    case 'requeue':
      return await farm.requeue(ids);
    case 'cancel':
      return await farm.cancel(ids);
    case 'delete':
      return await farm.remove(ids);
    case 'priority':
      return await Promise.all(ids.map((id) => farm.setPriority(id, priority)));
    default:
      return action satisfies never;
  }
}

function isId(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isPriority(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= PRIORITY_MAX;
}

function invalid(message: string): RenderError {
  return new RenderError('RENDER_REQUEST_INVALID', message);
}
