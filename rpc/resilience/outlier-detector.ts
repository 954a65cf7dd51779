// Finds the instances that answer worse than the others and ejects them for a while: gRPC A50 (success rate and failure
// percentage, judged once per interval) and Envoy's consecutive failures (judged at once).
// balance/instance-selector.ts reports every result and asks who is ejected. Pure: time comes in.
// However bad things are, no more than a share is ejected, one may always be, and a number stays.

import { checkNumber, withDefaults } from '../option-checks.js';

export interface OutlierOptions {
  /** Between two judgements by rate. Default 10 s (A50). */
  intervalMs?: number;
  /** Ejected for this long times the ejections in a row. Default 30 s (A50). */
  ejectionMs?: number;
  /** But never longer. Default 300 s (A50). */
  ejectionMaxMs?: number;
  /** Percent of the instances ejected at once, but always at least one. Default 10 (A50). */
  ejectedMaxPercent?: number;
  /** Instances that are never ejected, whatever the percentage says. Default 1. */
  healthyMin?: number;
  /** Failures one after the other that eject at once; 0 switches it off. Default 5 (Envoy). */
  consecutiveFailures?: number;
  /** Ejects below mean − this × standard deviation of the success rates; 0 switches it off. Default 1.9 (A50). */
  successRateStdevFactor?: number;
  /** Instances with enough calls that a comparison needs. Default 5 (A50). */
  successRateHostsMin?: number;
  /** Calls in the interval that an instance needs to be compared. Default 100 (A50). */
  successRateCallsMin?: number;
  /** Ejects above this percentage of failures; 0 switches it off. Default 85 (A50). */
  failurePercent?: number;
  /** Default 5 (A50). */
  failurePercentHostsMin?: number;
  /** Default 50 (A50). */
  failurePercentCallsMin?: number;
}

const DEFAULTS: Required<OutlierOptions> = {
  intervalMs: 10_000,
  ejectionMs: 30_000,
  ejectionMaxMs: 300_000,
  ejectedMaxPercent: 10,
  healthyMin: 1,
  consecutiveFailures: 5,
  successRateStdevFactor: 1.9,
  successRateHostsMin: 5,
  successRateCallsMin: 100,
  failurePercent: 85,
  failurePercentHostsMin: 5,
  failurePercentCallsMin: 50,
};

/** What the detector knows of one instance. Read-only outside of this file. */
export interface OutlierMember {
  readonly isEjected: boolean;
  /** Meaningful while it is ejected. */
  readonly ejectedUntilMs: number;
  /** Ejections in a row: longer each time, shorter again with every quiet interval. */
  readonly ejections: number;
}

class Member implements OutlierMember {
  isEjected = false;
  ejectedUntilMs = 0;
  ejections = 0;
  consecutive = 0;
  calls = 0;
  failures = 0;
}

export class OutlierDetector {
  readonly #options: Required<OutlierOptions>;
  readonly #members = new Set<Member>();
  #ejectedCount = 0;
  #nextSweepMs = -Infinity;
  #nextIntervalMs = -Infinity;

  /** @throws RpcError RPC_OPTION_INVALID naming the option */
  constructor(options: OutlierOptions = {}) {
    this.#options = checkedOutlierOptions(options);
  }

  get memberCount(): number {
    return this.#members.size;
  }

  get ejectedCount(): number {
    return this.#ejectedCount;
  }

  /** When `sweep` has something to do. */
  get nextSweepMs(): number {
    return this.#nextSweepMs;
  }

  add(): OutlierMember {
    const member = new Member();
    this.#members.add(member);
    return member;
  }

  /** The instance is not listed any more. */
  remove(member: OutlierMember): void {
    if (!this.#members.delete(member as Member)) return; // `add` made it
    if (member.isEjected) this.#ejectedCount -= 1;
  }

  /** A call ended. @returns whether this ejected the instance */
  record(handle: OutlierMember, isFailure: boolean, nowMs: number): boolean {
    const member = handle as Member; // `add` made it
    member.calls += 1;
    if (!isFailure) {
      member.consecutive = 0;
      return false;
    }
    member.failures += 1;
    member.consecutive += 1;
    const { consecutiveFailures } = this.#options;
    if (consecutiveFailures === 0 || member.consecutive < consecutiveFailures) return false;
    return this.#eject(member, nowMs);
  }

  /** Lets back in whose time is over and, once per interval, judges by rate. @returns whether anybody's state changed */
  sweep(nowMs: number): boolean {
    let hasChanged = false;
    if (nowMs >= this.#nextIntervalMs) {
      // The first one only begins to count.
      if (this.#nextIntervalMs !== -Infinity) hasChanged = this.#judge(nowMs);
      this.#nextIntervalMs = nowMs + this.#options.intervalMs;
    }
    this.#nextSweepMs = this.#nextIntervalMs;
    for (const member of this.#members) {
      if (!member.isEjected) continue;
      if (nowMs >= member.ejectedUntilMs) {
        this.#letBack(member);
        hasChanged = true;
      } else this.#nextSweepMs = Math.min(this.#nextSweepMs, member.ejectedUntilMs);
    }
    return hasChanged;
  }

  #judge(nowMs: number): boolean {
    const before = this.#ejectedCount;
    this.#judgeSuccessRates(nowMs);
    this.#judgeFailurePercentages(nowMs);
    for (const member of this.#members) {
      if (!member.isEjected && member.ejections > 0) member.ejections -= 1;
      member.calls = 0;
      member.failures = 0;
    }
    return this.#ejectedCount !== before;
  }

  #judgeSuccessRates(nowMs: number): void {
    const { successRateStdevFactor, successRateHostsMin, successRateCallsMin } = this.#options;
    if (successRateStdevFactor === 0) return;
    const judged = [...this.#members].filter(({ calls }) => calls >= successRateCallsMin);
    if (judged.length < Math.max(1, successRateHostsMin)) return;
    const rates = judged.map(({ calls, failures }) => (calls - failures) / calls);
    const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
    const variance = rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / rates.length;
    const threshold = mean - successRateStdevFactor * Math.sqrt(variance);
    for (const [at, member] of judged.entries()) if (rates[at]! < threshold) this.#eject(member, nowMs);
  }

  #judgeFailurePercentages(nowMs: number): void {
    const { failurePercent, failurePercentHostsMin, failurePercentCallsMin } = this.#options;
    if (failurePercent === 0) return;
    const judged = [...this.#members].filter(({ calls }) => calls >= failurePercentCallsMin);
    if (judged.length < failurePercentHostsMin) return;
    for (const member of judged) {
      if ((100 * member.failures) / member.calls > failurePercent) this.#eject(member, nowMs);
    }
  }

  #eject(member: Member, nowMs: number): boolean {
    if (member.isEjected || !this.#mayEject()) return false;
    const { ejectionMs, ejectionMaxMs } = this.#options;
    member.ejections += 1;
    member.isEjected = true;
    member.consecutive = 0;
    member.ejectedUntilMs =
      nowMs + Math.min(ejectionMs * member.ejections, Math.max(ejectionMs, ejectionMaxMs));
    this.#ejectedCount += 1;
    this.#nextSweepMs = Math.min(this.#nextSweepMs, member.ejectedUntilMs);
    return true;
  }

  #mayEject(): boolean {
    const { ejectedMaxPercent, healthyMin } = this.#options;
    const count = this.#members.size;
    const ejectedMax =
      ejectedMaxPercent === 0 ? 0 : Math.max(1, Math.floor((count * ejectedMaxPercent) / 100));
    return this.#ejectedCount < ejectedMax && count - this.#ejectedCount - 1 >= healthyMin;
  }

  #letBack(member: Member): void {
    member.isEjected = false;
    member.consecutive = 0;
    this.#ejectedCount -= 1;
  }
}

/** @throws RpcError RPC_OPTION_INVALID naming the option */
export function checkedOutlierOptions(options: OutlierOptions): Required<OutlierOptions> {
  const checked = withDefaults('outlier', DEFAULTS, options);
  const check = (name: keyof OutlierOptions, range: Parameters<typeof checkNumber>[3]): void =>
    checkNumber('outlier', name, checked[name], range);
  check('intervalMs', { above: 0 });
  check('ejectionMs', { above: 0 });
  check('ejectionMaxMs', { min: checked.ejectionMs });
  check('ejectedMaxPercent', { min: 0, max: 100 });
  check('healthyMin', { min: 0, whole: true });
  check('consecutiveFailures', { min: 0, whole: true });
  check('successRateStdevFactor', { min: 0 });
  check('successRateHostsMin', { min: 1, whole: true });
  check('successRateCallsMin', { min: 1, whole: true });
  check('failurePercent', { min: 0, max: 100 });
  check('failurePercentHostsMin', { min: 1, whole: true });
  check('failurePercentCallsMin', { min: 1, whole: true });
  return checked;
}
