// The drivers that are registered: their name, where their object is, and the calls by which they wait.

import type { Position } from '../proto/render.js';

export interface DriverEntry {
  readonly name: string;
  position: Position;
  /** Render calls that are open. */
  callsOpen: number;
  /** It has beaten: from then on its silence counts, in a call too. Who never did is there while a call of it is open. */
  isBeating: boolean;
}

export function driverEntry(name: string): DriverEntry {
  return { name, position: { x: 0, y: 0, z: 0 }, callsOpen: 0, isBeating: false };
}
