import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type Deadline, Deadlines } from '../../../render/main/deadlines.js';

test('what is due comes in the order of its time, and what was taken back never does', () => {
  const step = fc.record({ kind: fc.constantFrom('set', 'set', 'clear', 'due'), number: fc.nat(30) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const deadlines = new Deadlines<number>();
      const model: { at: number; owner: number; deadline: Deadline<number> }[] = [];
      const past: Deadline<number>[] = [];
      for (const [owner, { kind, number }] of steps.entries()) {
        if (kind === 'set') {
          model.push({ at: number, owner, deadline: deadlines.set(number, owner) });
        } else if (kind === 'clear') {
          const [taken] = model.splice(number, 1);
          if (taken !== undefined) {
            assert.equal(deadlines.clear(taken.deadline), true);
            past.push(taken.deadline);
          }
        } else {
          const first = model.toSorted((a, b) => a.at - b.at || a.owner - b.owner)[0];
          const due = first !== undefined && first.at <= number ? first : null;
          assert.equal(deadlines.takeDue(number), due?.owner ?? null);
          if (due !== null) past.push(model.splice(model.indexOf(due), 1)[0]!.deadline);
        }
        assert.equal(deadlines.size, model.length);
        assert.equal(deadlines.nextAt, model.length === 0 ? null : Math.min(...model.map(({ at }) => at)));
        assert(past.every((deadline) => !deadlines.clear(deadline)));
      }
    }),
  );
});
