// What the clients of one lab asked and heard, by the lab's clock, and whether every key looks like one object.

import assert from 'node:assert/strict';
import { check } from '../history/linearizability.js';
import { byKey, type Operation, unanswered } from '../history/operation.js';
import { type RegisterInput, registerModel, type RegisterOutput } from '../history/register-model.js';
import { asText, explain } from '../history/report.js';
import type { Lab } from './lab.js';

const MODEL = registerModel('counts');
/** Of the search, for one key; the labs allow a second and take "unknown" for good. */
const STEPS_MAX = 1_000_000;

export interface Call {
  returned(output: RegisterOutput): void;
  /** It may have been carried out, or may be later. */
  unknown(): void;
  never(): void;
}

export class LabHistory {
  readonly #lab: Lab;
  readonly #operations: Operation<RegisterInput, RegisterOutput>[] = [];
  #lastNs = 0;
  #nextId = 1;
  undecided = 0;

  constructor(lab: Lab) {
    this.#lab = lab;
  }

  get size(): number {
    return this.#operations.length;
  }

  call(client: number, key: string, input: RegisterInput): Call {
    const asked = { id: this.#nextId, client, key, input, callNs: this.#nowNs() };
    this.#nextId += 1;
    return {
      returned: (output) => this.#operations.push({ ...asked, output, returnNs: this.#nowNs() }),
      unknown: () => this.#operations.push(unanswered(asked)),
      never: () => {},
    };
  }

  /** @throws AssertionError with the shortest wrong history */
  check(): void {
    for (const [key, operations] of byKey(this.#operations)) {
      const verdict = check(MODEL, operations, { stepsMax: STEPS_MAX });
      if (verdict.kind === 'unknown') this.undecided += 1;
      if (verdict.kind !== 'violation') continue;
      const violation = explain(MODEL, operations, { stepsMax: STEPS_MAX });
      const text = violation === null ? '' : asText(violation);
      throw new assert.AssertionError({ message: `key ${key} is not linearizable\n${text}` });
    }
  }

  #nowNs(): number {
    this.#lastNs = Math.max(this.#lastNs + 1, Math.floor(this.#lab.nowMs() * 1e6));
    return this.#lastNs;
  }
}
