// A service of several instances as a discrete-event simulation: calls arrive by chance, every instance works on a few at
// once and queues the rest, and a selector chooses. One seed brings a run back.

import { type Balancer, InstanceSelector, type SelectorOptions } from '../../../rpc/index.js';
import { instance, request } from './candidates.js';

export interface SimulatedService {
  /** Mean time an instance works on a call, one per instance; the times are exponentially distributed. */
  readonly meanMs: readonly number[];
  /** Calls an instance works on at once. */
  readonly workers: number;
  readonly callsPerMs: number;
  readonly calls: number;
}

interface End {
  readonly atMs: number;
  readonly run: () => void;
}

/** @returns the latency of every call, in ms */
export function simulate(
  service: SimulatedService,
  balancer: Balancer,
  random: () => number,
  options: SelectorOptions = {},
): { latenciesMs: number[]; callsOf: number[] } {
  const selector = new InstanceSelector('simulated', balancer, options);
  const instances = service.meanMs.map((_, at) => instance(String(at)));
  selector.update(instances);
  const freeAtMs = service.meanMs.map(() => Array.from({ length: service.workers }, () => 0));
  const callsOf = service.meanMs.map(() => 0);
  const latenciesMs: number[] = [];
  const ends: End[] = [];
  let nowMs = 0;
  for (let call = 0; call < service.calls; call += 1) {
    nowMs += exponential(1 / service.callsPerMs, random);
    for (let end = first(ends); end !== undefined && end.atMs <= nowMs; end = first(ends)) {
      pop(ends);
      end.run();
    }
    const candidate = selector.pick(request(nowMs));
    selector.started(candidate);
    const at = Number(candidate.instance.id);
    callsOf[at]! += 1;
    const workers = freeAtMs[at]!;
    const worker = workers.indexOf(Math.min(...workers));
    const startMs = nowMs;
    const endMs = Math.max(nowMs, workers[worker]!) + exponential(service.meanMs[at]!, random);
    workers[worker] = endMs;
    latenciesMs.push(endMs - startMs);
    push(ends, {
      atMs: endMs,
      run: () => selector.finished(candidate, { latencyMs: endMs - startMs, isFailure: false, nowMs: endMs }),
    });
  }
  return { latenciesMs, callsOf };
}

export function percentile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * share)]!;
}

function exponential(mean: number, random: () => number): number {
  return -mean * Math.log(1 - random());
}

// A binary heap of ends, the earliest first.

function first(heap: readonly End[]): End | undefined {
  return heap[0];
}

function push(heap: End[], end: End): void {
  let at = heap.push(end) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (heap[parent]!.atMs <= end.atMs) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = end;
}

function pop(heap: End[]): void {
  const end = heap.pop()!;
  if (heap.length === 0) return;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && heap[child + 1]!.atMs < heap[child]!.atMs) child += 1;
    if (heap[child]!.atMs >= end.atMs) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = end;
}
