// The value of a sorted-set key. Up to 64 members: two plain arrays in order. Above, and from then on: members in a
// dense array with their scores beside it (dense-keys.ts), and their order in a skip list of strings (score-order.ts).
// Every kind of range is turned into one of ranks first: by score and by member the list counts what lies below a bound.

import { prefixEnd } from '../../key.js';
import { SkipList } from '../../skip-list.js';
import { type Container, stringMemoryBytes, type ValueReader, type ValueWriter } from '../value.js';
import { DenseKeys, scanDense } from './dense-keys.js';
import { comesBefore, orderKey, scoreOf } from './score-order.js';
import { towerHeights } from './tower-heights.js';

const SMALL_MAX = 64;
/** The arrays of towers that a skip list begins with. */
const LARGE_HEAD_BYTES = 7_000;

export interface Scored {
  readonly member: string;
  readonly score: number;
}

/** What a sorted set above SMALL_MAX consists of. */
class Large {
  readonly members: DenseKeys;
  readonly scores: number[];
  /** From order key to member. */
  readonly order: SkipList<string>;

  constructor(members: string[], scores: number[]) {
    this.members = new DenseKeys(members);
    this.scores = scores;
    this.order = new SkipList(towerHeights());
    for (let place = 0; place < members.length; place += 1) {
      this.order.set(orderKey(scores[place]!, members[place]!), members[place]!);
    }
  }
}

export class SortedSetValue implements Container {
  readonly type = 'zset';
  #members: string[] = [];
  #scores: number[] = [];
  #smallBytes = 0;
  #large: Large | null = null;

  get size(): number {
    return this.#large === null ? this.#members.length : this.#large.scores.length;
  }

  get memoryBytes(): number {
    if (this.#large === null) return 96 + this.#smallBytes;
    // The order keys are 8 bytes longer than the members; towers and leaves by measurement, not by how they happen to lie.
    const { memoryBytes } = this.#large.members;
    return LARGE_HEAD_BYTES + 2 * memoryBytes + this.size * (8 + 9);
  }

  score(member: string): number | undefined {
    if (this.#large === null) {
      const place = this.#members.indexOf(member);
      return place === -1 ? undefined : this.#scores[place];
    }
    const place = this.#large.members.find(member);
    return place === -1 ? undefined : this.#large.scores[place];
  }

  /** True when the member is new. `score` is not NaN. */
  set(member: string, score: number): boolean {
    if (this.#large !== null) return setLarge(this.#large, member, score);
    const place = this.#members.indexOf(member);
    if (place !== -1) {
      if (this.#scores[place] === score) return false;
      this.#removeSmall(place);
    }
    this.#insertSmall(member, score + 0);
    if (this.#members.length > SMALL_MAX) {
      this.#large = new Large(this.#members, this.#scores);
      this.#members = [];
      this.#scores = [];
      this.#smallBytes = 0;
    }
    return place === -1;
  }

  /** True when the member was there. */
  delete(member: string): boolean {
    if (this.#large === null) {
      const place = this.#members.indexOf(member);
      if (place !== -1) this.#removeSmall(place);
      return place !== -1;
    }
    const { members, scores, order } = this.#large;
    const place = members.find(member);
    if (place === -1) return false;
    order.delete(orderKey(scores[place]!, member));
    members.remove(place);
    const last = scores.pop()!;
    if (place < scores.length) scores[place] = last;
    return true;
  }

  /** How many members come before this one; undefined when it is not there. */
  rank(member: string): number | undefined {
    if (this.#large === null) {
      const place = this.#members.indexOf(member);
      return place === -1 ? undefined : place;
    }
    const score = this.score(member);
    return score === undefined ? undefined : this.#large.order.rank(orderKey(score, member));
  }

  /** How many members have a score below `score`, or `orEqual` to it. */
  countBelow(score: number, orEqual: boolean): number {
    if (this.#large !== null) {
      const bound = orderKey(score, '');
      // No score is all 0xff, so there is a bound above.
      return this.#large.order.rank(orEqual ? prefixEnd(bound)! : bound);
    }
    let below = 0;
    for (const other of this.#scores) if (other < score || (orEqual && other === score)) below += 1;
    return below;
  }

  /** How many members are below `member`, or `orEqual` to it; right only while all have one score. */
  countBelowMember(member: string, orEqual: boolean): number {
    if (this.#large !== null) {
      const bound = orderKey(scoreOf(this.#large.order.first()!.key), member);
      const rank = this.#large.order.rank(bound);
      return orEqual && this.#large.order.has(bound) ? rank + 1 : rank;
    }
    let below = 0;
    for (const other of this.#members) if (other < member || (orEqual && other === member)) below += 1;
    return below;
  }

  /** Members by rank from `start` up to but without `end`, or the same ones from the last to the first. */
  visit(start: number, end: number, reverse: boolean, take: (member: string, score: number) => void): void {
    if (start >= end) return;
    if (this.#large === null) {
      if (reverse) for (let at = end - 1; at >= start; at -= 1) take(this.#members[at]!, this.#scores[at]!);
      else for (let at = start; at < end; at += 1) take(this.#members[at]!, this.#scores[at]!);
      return;
    }
    const { order } = this.#large;
    const first = order.at(reverse ? end - 1 : start)!.key;
    const range = reverse ? { through: first, reverse } : { from: first };
    for (const { key, value } of order.scan({ ...range, limit: end - start }).entries) {
      take(value, scoreOf(key));
    }
  }

  slice(start: number, end: number, reverse = false): Scored[] {
    const found: Scored[] = [];
    this.visit(start, end, reverse, (member, score) => found.push({ member, score }));
    return found;
  }

  /** A member that `place` (0 … size - 1) picks, in no order that means anything. */
  pick(place: number): Scored {
    if (this.#large === null) return { member: this.#members[place]!, score: this.#scores[place]! };
    return { member: this.#large.members.keys[place]!, score: this.#large.scores[place]! };
  }

  /** One step of a scan; gives the next cursor. While small it gives all at once, for places change with scores then. */
  scan(cursor: number, count: number, take: (member: string, score: number) => void): number {
    if (this.#large === null) {
      this.visit(0, this.size, false, take);
      return 0;
    }
    const { members, scores } = this.#large;
    return scanDense(scores.length, cursor, count, (place) => take(members.keys[place]!, scores[place]!));
  }

  clone(): SortedSetValue {
    const copy = new SortedSetValue();
    if (this.#large !== null) {
      copy.#large = new Large(this.#large.members.keys.slice(), this.#large.scores.slice());
      return copy;
    }
    copy.#members = this.#members.slice();
    copy.#scores = this.#scores.slice();
    copy.#smallBytes = this.#smallBytes;
    return copy;
  }

  /** Whether members differ, scores are numbers, and a small one is in order: what decode() takes for granted. */
  get isSound(): boolean {
    const members = this.#large === null ? this.#members : this.#large.members.keys;
    const scores = this.#large === null ? this.#scores : this.#large.scores;
    if (new Set(members).size !== members.length) return false;
    if (scores.some((score) => Number.isNaN(score) || Object.is(score, -0))) return false;
    if (this.#large !== null) return true;
    if (members.length > SMALL_MAX) return false;
    for (let at = 1; at < members.length; at += 1) {
      if (!comesBefore(scores[at - 1]!, members[at - 1]!, scores[at]!, members[at]!)) return false;
    }
    return true;
  }

  /** The form is part of it: the order of the dense array shows in scans. */
  encode(writer: ValueWriter): void {
    const members = this.#large === null ? this.#members : this.#large.members.keys;
    const scores = this.#large === null ? this.#scores : this.#large.scores;
    writer.byte(this.#large === null ? 0 : 1);
    writer.uint(members.length);
    for (let place = 0; place < members.length; place += 1) {
      writer.double(scores[place]!);
      writer.bytes(members[place]!);
    }
  }

  static decode(reader: ValueReader): SortedSetValue {
    const large = reader.byte() === 1;
    const members: string[] = [];
    const scores: number[] = [];
    for (let left = reader.count(); left > 0; left -= 1) {
      scores.push(reader.double());
      members.push(reader.string());
    }
    const value = new SortedSetValue();
    if (large) {
      value.#large = new Large(members, scores);
      return value;
    }
    value.#members = members;
    value.#scores = scores;
    for (const member of members) value.#smallBytes += smallBytes(member);
    return value;
  }

  #insertSmall(member: string, score: number): void {
    let low = 0;
    let high = this.#members.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (comesBefore(this.#scores[middle]!, this.#members[middle]!, score, member)) low = middle + 1;
      else high = middle;
    }
    this.#members.splice(low, 0, member);
    this.#scores.splice(low, 0, score);
    this.#smallBytes += smallBytes(member);
  }

  #removeSmall(place: number): void {
    this.#smallBytes -= smallBytes(this.#members[place]!);
    this.#members.splice(place, 1);
    this.#scores.splice(place, 1);
  }
}

function setLarge(large: Large, member: string, score: number): boolean {
  const place = large.members.find(member);
  if (place === -1) {
    large.order.set(orderKey(score, member), member);
    large.members.push(member);
    large.scores.push(score + 0);
    return true;
  }
  const before = large.scores[place]!;
  if (before !== score) {
    large.order.delete(orderKey(before, member));
    large.order.set(orderKey(score, member), member);
    large.scores[place] = score + 0;
  }
  return false;
}

function smallBytes(member: string): number {
  return stringMemoryBytes(member.length) + 20;
}
