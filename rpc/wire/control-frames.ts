// CANCEL, WINDOW, PING, PONG and GOAWAY: what the two sides say about calls and about themselves.
// CANCEL: status u8 | zero u8 | textBytes u16 | text.  WINDOW: bytes u32.  PING, PONG: token u64, any eight bytes.
// GOAWAY: lastStreamId u32 | reason u16 | textBytes u16 | drainMs u32 | text.

import { FRAME_HEAD_BYTES } from '../limits.js';
import type { FrameBuilder } from './frame-builder.js';
import { FrameReader } from './frame-reader.js';

const TEXT_BYTES_MAX = 1024;

/** Why a side goes away. */
export const GOAWAY_REASON = {
  shutdown: 0,
  protocol: 1,
  version: 2,
  unauthenticated: 3,
  tooManyPings: 4,
  age: 5,
  idle: 6,
} as const;

export interface Goaway {
  /** The last call that will be answered; 0 is none. */
  readonly lastStreamId: number;
  readonly reason: number;
  readonly text: string;
  /** How long calls under way are given. */
  readonly drainMs: number;
}

export function writeCancel(builder: FrameBuilder, streamId: number, status: number, text: string): void {
  const bytes = Buffer.from(text).subarray(0, TEXT_BYTES_MAX);
  builder.begin(0, streamId).u8(status).u8(0).u16(bytes.length).bytes(bytes);
}

export function readCancel(body: Buffer): { status: number; text: string } {
  const reader = new FrameReader(body, FRAME_HEAD_BYTES, 'CANCEL');
  const status = reader.u8();
  reader.u8();
  return { status, text: reader.text(reader.u16()) };
}

export function writeWindow(builder: FrameBuilder, streamId: number, bytes: number): void {
  builder.begin(0, streamId).u32(bytes);
}

export function readWindow(body: Buffer): number {
  return new FrameReader(body, FRAME_HEAD_BYTES, 'WINDOW').u32();
}

export function writePing(builder: FrameBuilder, token: Uint8Array): void {
  builder.begin(0, 0).bytes(token);
}

/** A view of the eight bytes. */
export function readPing(body: Buffer): Buffer {
  return new FrameReader(body, FRAME_HEAD_BYTES, 'PING').view(8);
}

export function writeGoaway(builder: FrameBuilder, goaway: Goaway): void {
  const text = Buffer.from(goaway.text).subarray(0, TEXT_BYTES_MAX);
  builder
    .begin(0, 0)
    .u32(goaway.lastStreamId)
    .u16(goaway.reason)
    .u16(text.length)
    .u32(goaway.drainMs)
    .bytes(text);
}

export function readGoaway(body: Buffer): Goaway {
  const reader = new FrameReader(body, FRAME_HEAD_BYTES, 'GOAWAY');
  const lastStreamId = reader.u32();
  const reason = reader.u16();
  const textBytes = reader.u16();
  const drainMs = reader.u32();
  return { lastStreamId, reason, drainMs, text: reader.text(textBytes) };
}
