// What the Clerk decides: whom to ask next, how long to wait, and what a failure means for the call.
// clerk-caller.ts does what it says; the simulator asks it too. Pure: time and chance come in as arguments.

/** How a call may be repeated. */
export type Repetition =
  /** It changes nothing, or changes the same again: repeated as often as there is time. */
  | 'harmless'
  /** A write under a sequence of a session: repeated, and executed once. */
  | 'once'
  /** A write outside of sessions: never repeated once it may have been carried out. */
  | 'never';

/** A failed attempt. */
export interface FailedAttempt {
  /** `KV_…` where a member said so, else `RPC_…` of the call. */
  readonly code: string;
  /** Whether the attempt may have been carried out. */
  readonly executed: 'no' | 'unknown';
  /** Whom the member takes for the leader; '' where it did not say. */
  readonly leader: string;
}

export type Verdict =
  /** Nothing that another attempt would change. */
  | { readonly kind: 'final' }
  /** Again: `elsewhere`, or where it was; at once, or after a pause. */
  | {
      readonly kind: 'retry';
      readonly elsewhere: boolean;
      readonly pauses: boolean;
      readonly blames: boolean;
    };

const FINAL: Verdict = { kind: 'final' };
/** The member cannot be used for now. */
const ELSEWHERE: Verdict = { kind: 'retry', elsewhere: true, pauses: false, blames: true };
/** The member is well, and says that the cluster is not ready. */
const LATER: Verdict = { kind: 'retry', elsewhere: true, pauses: true, blames: false };
/** The member is the right one, and busy. */
const LATER_HERE: Verdict = { kind: 'retry', elsewhere: false, pauses: true, blames: false };
/** It told who is the right one. */
const AT_LEADER: Verdict = { kind: 'retry', elsewhere: true, pauses: false, blames: false };

const VERDICTS: Readonly<Record<string, Verdict>> = {
  KV_NO_LEADER: LATER,
  KV_TIMEOUT: LATER,
  KV_OUTCOME_UNKNOWN: LATER,
  KV_QUEUE_FULL: LATER_HERE,
  KV_BUSY: LATER_HERE,
  KV_CLUSTER_FOREIGN: ELSEWHERE, // the address has come down to another cluster
  KV_CLOSED: ELSEWHERE,
  KV_STORAGE_FAILED: ELSEWHERE,
  // Of the call itself.
  RPC_UNAVAILABLE: ELSEWHERE,
  RPC_NO_INSTANCE: ELSEWHERE,
  RPC_ALL_EJECTED: ELSEWHERE,
  RPC_ALL_CONNECTING: ELSEWHERE,
  RPC_CONNECT_FAILED: ELSEWHERE,
  RPC_CONNECTION_LOST: ELSEWHERE,
  RPC_HELLO_TIMEOUT: ELSEWHERE,
  RPC_KEEPALIVE_TIMEOUT: ELSEWHERE,
  RPC_POOL_TIMEOUT: ELSEWHERE,
  RPC_RESOLVE_FAILED: ELSEWHERE,
  RPC_SHUTTING_DOWN: ELSEWHERE,
  RPC_BREAKER_OPEN: ELSEWHERE,
  RPC_DEADLINE_EXCEEDED: ELSEWHERE, // of the attempt: the member is silent
  RPC_QUEUE_FULL: LATER_HERE,
  RPC_RATE_LIMITED: LATER_HERE,
  RPC_TOO_MANY_STREAMS: LATER_HERE,
  RPC_RESOURCE_EXHAUSTED: LATER_HERE,
  RPC_ABORTED: LATER_HERE,
  RPC_INTERNAL: ELSEWHERE,
  RPC_UNKNOWN: ELSEWHERE,
  RPC_PROTOCOL: ELSEWHERE,
};

/** What a failed attempt means for its call. */
export function judge({ code, executed, leader }: FailedAttempt, repetition: Repetition): Verdict {
  if (executed !== 'no' && repetition === 'never') return FINAL;
  if (code === 'KV_NOT_LEADER') return leader === '' ? LATER : AT_LEADER;
  return VERDICTS[code] ?? FINAL;
}

/** No member was talked to. */
export function isUnreached(code: string): boolean {
  return UNREACHED.has(code);
}

const UNREACHED: ReadonlySet<string> = new Set([
  'RPC_NO_INSTANCE',
  'RPC_ALL_EJECTED',
  'RPC_ALL_CONNECTING',
  'RPC_CONNECT_FAILED',
  'RPC_HELLO_TIMEOUT',
  'RPC_POOL_TIMEOUT',
  'RPC_RESOLVE_FAILED',
  'RPC_BREAKER_OPEN',
]);

export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * How long to wait before attempt `pause + 1` that waits: doubling, half of it left to chance, so that clients which failed
 * together do not come back together.
 */
export function backoffMs(pause: number, { firstMs, maxMs }: Backoff, random: () => number): number {
  const fullMs = Math.min(maxMs, firstMs * 2 ** Math.min(pause, 30));
  return fullMs / 2 + random() * (fullMs / 2);
}

const DOUBLINGS_MAX = 6;

/**
 * How long a member has to answer: doubled with every round in which members were asked and did not, since one that takes
 * longer than an attempt would never be heard.
 */
export function attemptMs(firstMs: number, silentRounds: number): number {
  return firstMs * 2 ** Math.min(silentRounds, DOUBLINGS_MAX);
}

interface KnownMember {
  readonly address: string;
  readonly isListed: boolean;
  failures: number;
  /** Not asked before, while another may be. */
  suspectUntilMs: number;
}

/** Members heard of beside the endpoints. */
const UNLISTED_MAX = 16;

/** Which member to ask: the leader where it is known, those that failed of late last. */
export class MemberChoice {
  readonly #members = new Map<string, KnownMember>();
  readonly #suspicion: Backoff;
  readonly #followsUnlisted: boolean;
  #leader = '';
  /** Where the round begins; moves on so that clients without a leader try all. */
  #turn: number;

  /** @param start which endpoint is asked first, so that clients do not all begin with the same */
  constructor(
    endpoints: readonly string[],
    options: { readonly suspicion: Backoff; readonly followsUnlisted: boolean; readonly start: number },
  ) {
    for (const address of endpoints) {
      this.#members.set(address, { address, isListed: true, failures: 0, suspectUntilMs: 0 });
    }
    this.#suspicion = options.suspicion;
    this.#followsUnlisted = options.followsUnlisted;
    this.#turn = options.start;
  }

  /** '' while none is known. */
  get leader(): string {
    return this.#leader;
  }

  get addresses(): readonly string[] {
    return [...this.#members.keys()];
  }

  /** A member told who leads. */
  leaderIs(address: string): void {
    if (address === this.#leader || address === '') return;
    if (!this.#members.has(address)) {
      if (!this.#followsUnlisted) return;
      const unlisted = [...this.#members.values()].filter(({ isListed }) => !isListed);
      if (unlisted.length >= UNLISTED_MAX) this.#members.delete(unlisted[0]!.address);
      this.#members.set(address, { address, isListed: false, failures: 0, suspectUntilMs: 0 });
    }
    this.#leader = address;
  }

  /** Whom to ask; null when all in `tried` have been. */
  pick(nowMs: number, tried: ReadonlySet<string> | null): string | null {
    const leader = this.#members.get(this.#leader);
    if (leader !== undefined && tried?.has(leader.address) !== true && leader.suspectUntilMs <= nowMs)
      return leader.address;
    return this.pickAny(nowMs, tried);
  }

  /** Any member, one after the other: for reads that need no leader. */
  pickAny(nowMs: number, tried: ReadonlySet<string> | null): string | null {
    const members = [...this.#members.values()];
    this.#turn = (this.#turn + 1) % members.length;
    let suspect: KnownMember | null = null;
    for (let step = 0; step < members.length; step += 1) {
      const member = members[(this.#turn + step) % members.length]!;
      if (tried?.has(member.address) === true) continue;
      if (member.suspectUntilMs <= nowMs) return member.address;
      if (suspect === null || member.suspectUntilMs < suspect.suspectUntilMs) suspect = member;
    }
    return suspect?.address ?? null;
  }

  succeeded(address: string): void {
    const member = this.#members.get(address);
    if (member === undefined || member.failures === 0) return;
    member.failures = 0;
    member.suspectUntilMs = 0;
  }

  failed(address: string, nowMs: number, random: () => number): void {
    if (this.#leader === address) this.#leader = '';
    const member = this.#members.get(address);
    // Calls that failed together are one failure.
    if (member === undefined || member.suspectUntilMs > nowMs) return;
    member.suspectUntilMs = nowMs + backoffMs(member.failures, this.#suspicion, random);
    member.failures += 1;
  }

  /** The one that was asked does not lead. */
  notLeader(address: string): void {
    if (this.#leader === address) this.#leader = '';
  }
}
