// The tests' corpus of requests that two parsers may read differently, sent to a whole server of the native transport:
// how many are not refused. http.ts runs it; test/reactor/http1-smuggling.test.ts looks at each more closely.

import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { SMUGGLING_CASES } from '../../test/support/smuggling-cases.js';
import { type CheckRule, judge } from '../report.js';
import { reactorNet } from '../subjects.js';
import { type Bench, startSubjects } from '../suite.js';
import type { Subject } from '../subject.js';

/** One answer, which refuses, and then the end of the connection. */
const REFUSED = /^HTTP\/1\.1 [45]\d\d /;
const ANSWERS = /^HTTP\/1\.1 \d{3} /gm;
const TIMEOUT_MS = 5000;

const ACCEPTED: CheckRule = {
  id: 'http.smuggling.accepted',
  title: `of ${SMUGGLING_CASES.length} requests that parsers read differently, those not refused, epoll`,
  unit: 'requests',
  bar: 0,
  better: 'lower',
};
export const SMUGGLING_RULES: readonly CheckRule[] = [ACCEPTED];

export async function runSmuggling(bench: Bench): Promise<void> {
  bench.progress(`smuggling: ${SMUGGLING_CASES.length} requests`);
  const [subject] = await startSubjects(bench, [reactorNet('http', 1, 'epoll')]);
  if (subject === undefined) return;
  try {
    const accepted: string[] = [];
    for (const { title, wire } of SMUGGLING_CASES) {
      if (!(await isRefused(subject, wire))) accepted.push(title);
    }
    bench.report.checks.push(judge(ACCEPTED, [accepted.length]));
    if (accepted.length > 0) bench.report.notes.push(`not refused: ${accepted.join('; ')}`);
  } finally {
    await subject.stop();
  }
}

async function isRefused(subject: Subject, wire: string): Promise<boolean> {
  const { host, port } = subject.address('http');
  const socket = connect({ host, port, allowHalfOpen: true });
  const late = setTimeout(() => socket.destroy(new Error('it did not end')), TIMEOUT_MS);
  try {
    socket.write(wire, 'latin1');
    const answer = await text(socket);
    return REFUSED.test(answer) && answer.match(ANSWERS)?.length === 1;
  } catch {
    return false; // a reset, or no end in time, may hide an answer
  } finally {
    clearTimeout(late);
    socket.destroy();
  }
}
