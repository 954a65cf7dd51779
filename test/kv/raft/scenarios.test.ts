// Raft scenarios as text: scenarios/*.txt hold commands, and under `----` what the members did because of them. The first
// line says what a script shows. REACTOR_TEST_UPDATE=1 writes what happened into the scripts: read the difference.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { ScriptCluster } from './support/script-cluster.js';

const FOLDER = fileURLToPath(new URL('../../../../test/kv/raft/scenarios/', import.meta.url));
const UPDATE = process.env['REACTOR_TEST_UPDATE'] === '1';

for (const name of readdirSync(FOLDER).toSorted()) {
  const file = path.join(FOLDER, name);
  const script = readFileSync(file, 'utf8');
  const title = /^# (.*)/.exec(script)?.[1] ?? name;
  test(`${name.replace('.txt', '')}: ${title}`, () => {
    const played = play(script);
    if (UPDATE) writeFileSync(file, played);
    else assert.equal(played, script);
  });
}

test('a script that expects something else fails', () => {
  const script = readFileSync(path.join(FOLDER, 'election.txt'), 'utf8');
  assert.notEqual(play(script.replace('granted', 'refused')), script.replace('granted', 'refused'));
});

/** The script with what really happened under each command. Comments stay; what is quiet is not shown. */
function play(script: string): string {
  const cluster = new ScriptCluster();
  return script
    .trimEnd()
    .split('\n\n')
    .map((paragraph) => {
      const lines = paragraph.split('----\n')[0]!.trimEnd().split('\n'); // split gives one part at least
      const commands = lines.filter((line) => !line.startsWith('#'));
      if (commands.length === 0) return lines.join('\n');
      const isQuiet = commands.every((command) => command.startsWith('quiet '));
      const answers = commands.map((command) => cluster.run(command.replace(/^quiet /, '')));
      return isQuiet ? lines.join('\n') : [...lines, '----', ...answers].join('\n');
    })
    .join('\n\n')
    .concat('\n');
}
