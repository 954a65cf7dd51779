// A thread that attaches to a segment, reads a byte, writes the next value, and detaches unless told to keep it.

import { parentPort, workerData } from 'node:worker_threads';

import { ShmSegment } from '../../../addon/jbus/index.js';

const { id, keep } = workerData as { id: number; keep?: boolean };
const segment = ShmSegment.attach(id);
const bytes = new Uint8Array(segment.buffer);
const read = bytes[1]!;
bytes[1] = read + 1;
parentPort?.postMessage({ read, attachCount: segment.stat().attachCount });
if (keep === true) setInterval(() => {}, 1000);
else segment.close();
