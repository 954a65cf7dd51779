import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Command } from '../support/command.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { TlvClient } from '../support/tlv.js';

const LOCAL = '127.0.0.1:0';

function ask(url: string): Promise<Response> {
  return fetch(url, { headers: { connection: 'close' } });
}

/** A handler module that answers every frame with this text. */
function answersWith(text: string): string {
  return `export default () => ({ onFrame: (connection) => connection.send(1, '${text}') });`;
}

/** A request that the server cannot finish: its body never ends. */
async function hangingRequest(t: TestContext, address: string): Promise<void> {
  const [host, port] = address.split(':');
  const hanging = request({ host, port, path: '/echo', method: 'POST' });
  hanging.on('error', () => {}); // the server may cut it off, that is the point
  t.after(() => hanging.destroy());
  hanging.write('the beginning');
  const [response] = (await once(hanging, 'response')) as [NodeJS.ReadableStream];
  response.on('error', () => {}).resume(); // as above
}

test('a request that is on its way when a drain begins is answered', async (t) => {
  const command = new Command(t, ['serve', '--json', '--tcp', LOCAL, '--threads', '1']);
  const client = await TlvClient.connect((await command.ready()).listen['tcp']!);
  command.child.kill('SIGTERM');
  assert.equal((await client.ask(1, 'x')).body.toString(), 'x');
  assert.equal(await command.exitCode, 0);
});

test('draining answers what is under way and refuses newcomers', async (t) => {
  const module = join(temporaryFolder(t), 'slow.mjs');
  writeFileSync(
    module,
    `let release;
     export default () => ({ onFrame: {
       1: async (connection) => { await new Promise((resolve) => (release = resolve)); connection.send(1, 'late'); },
       2: (connection) => connection.send(2, 'waiting'),
       3: () => release(),
     } });`,
  );
  const command = new Command(t, ['serve', '--json', '--tcp', LOCAL, '--threads', '1', '--handlers', module]);
  const { listen } = await command.ready();
  const client = await TlvClient.connect(listen['tcp']!);
  client.socket.write(Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]));
  await client.ask(2, '');
  const other = await TlvClient.connect(listen['tcp']!);
  await other.ask(2, '');
  other.socket.write(Buffer.from([3, 0, 0, 0, 0, 0, 0, 0]));
  assert.equal((await client.next()).body.toString(), 'late');
  const exitCode = command.stop();
  await Promise.all([client.closed(), other.closed()]);
  assert.equal(await exitCode, 0);
  await assert.rejects(TlvClient.connect(listen['tcp']!), /ECONNREFUSED/);
});

test('a drain that passes its deadline ends with exit code 1', async (t) => {
  const args = ['--http', LOCAL, '--threads', '1', '--drain-timeout', '100ms'];
  const command = new Command(t, ['serve', '--json', ...args]);
  await hangingRequest(t, (await command.ready()).listen['http']!);
  assert.equal(await command.stop(), 1);
});

test('a drain without threads waits for its deadline though nothing is read any more', async (t) => {
  const module = join(temporaryFolder(t), 'never.mjs');
  const neverDone = `(connection) => (connection.send(1, ''), new Promise(() => {}))`;
  writeFileSync(module, `export default () => ({ onFrame: ${neverDone} });`);
  const args = ['--tcp', LOCAL, '--threads', '0', '--drain-timeout', '100ms', '--handlers', module];
  const command = new Command(t, ['serve', '--json', ...args]);
  const client = await TlvClient.connect((await command.ready()).listen['tcp']!);
  await client.ask(1, '');
  assert.equal(await command.stop(), 1);
});

test('a second signal ends a drain at once with exit code 130', async (t) => {
  const args = ['--http', LOCAL, '--metrics', LOCAL, '--threads', '1', '--drain-timeout', '60s'];
  const command = new Command(t, ['serve', '--json', ...args]);
  const { listen } = await command.ready();
  await hangingRequest(t, listen['http']!);
  command.child.kill('SIGTERM');
  // Readiness ends with the first signal, so a 503 says that it was taken.
  while ((await ask(`http://${listen['metrics']}/readyz`)).status !== 503);
  await new Promise((resolve) => setTimeout(resolve, 60)); // two signals within 50 ms count as one
  assert.equal(await command.stop('SIGINT'), 130);
});

test('the two signals that timeout and npm send are one wish to stop', async (t) => {
  const args = ['--http', LOCAL, '--threads', '1', '--drain-timeout', '300ms'];
  const command = new Command(t, ['serve', '--json', ...args]);
  await hangingRequest(t, (await command.ready()).listen['http']!);
  command.child.kill('SIGTERM');
  assert.equal(await command.stop('SIGINT'), 1);
});

test('SIGHUP loads the handler module anew and keeps the connection', async (t) => {
  const module = join(temporaryFolder(t), 'handlers.mjs');
  writeFileSync(module, answersWith('old'));
  const command = new Command(t, ['serve', '--json', '--tcp', LOCAL, '--threads', '2', '--handlers', module]);
  const client = await TlvClient.connect((await command.ready()).listen['tcp']!);
  assert.equal((await client.ask(1, '')).body.toString(), 'old');
  writeFileSync(module, answersWith('new'));
  command.child.kill('SIGHUP');
  while ((await client.ask(1, '')).body.toString() !== 'new');
  assert.equal(await command.stop(), 0);
});

test('a reload that fails is logged and the old code goes on', async (t) => {
  const module = join(temporaryFolder(t), 'handlers.mjs');
  writeFileSync(module, answersWith('old'));
  const command = new Command(t, ['serve', '--json', '--tcp', LOCAL, '--threads', '1', '--handlers', module]);
  const client = await TlvClient.connect((await command.ready()).listen['tcp']!);
  writeFileSync(module, 'syntax error');
  command.child.kill('SIGHUP');
  while (!command.stderr.includes('the reload failed')) await once(command.child.stderr!, 'data');
  assert.equal((await client.ask(1, '')).body.toString(), 'old');
});
