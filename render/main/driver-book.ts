// The drivers that are registered: their name, where their object is, and the calls by which they wait.

import type { Position } from '../proto/render.js';

export interface DriverEntry {
  readonly name: string;
  position: Position;
  /** Render calls that are open: who waits in one need not beat. */
  callsOpen: number;
}

export function driverEntry(name: string): DriverEntry {
  return { name, position: { x: 0, y: 0, z: 0 }, callsOpen: 0 };
}
