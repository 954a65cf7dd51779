import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { type TlsServerOptions, toTlsClientOptions, toTlsServerOptions } from '../../reactor/tls-options.js';
import { AUTHORITY, CLIENT_KEY, SERVER_CERT, SERVER_KEY } from '../support/certificates.js';

test('certificate and key are read from files or given as text, with the same result', async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'reactor-net-tls-'));
  t.after(() => rm(folder, { recursive: true }));
  const certFile = path.join(folder, 'cert.pem');
  const keyFile = path.join(folder, 'key.pem');
  await writeFile(certFile, SERVER_CERT);
  await writeFile(keyFile, SERVER_KEY);
  assert.deepEqual(
    toTlsServerOptions({ certFile, keyFile }),
    toTlsServerOptions({ cert: SERVER_CERT, key: SERVER_KEY }),
  );
});

test('authorities make a server ask for client certificates, unless told otherwise', () => {
  const identity = { cert: SERVER_CERT, key: SERVER_KEY };
  assert.equal(toTlsServerOptions(identity).requestCert, false);
  assert.equal(toTlsServerOptions({ ...identity, ca: AUTHORITY }).requestCert, true);
  assert.equal(toTlsServerOptions({ ...identity, ca: AUTHORITY, requestCert: false }).requestCert, false);
  assert.equal(toTlsServerOptions(identity).rejectUnauthorized, true);
});

test('options survive the way to another thread', () => {
  const options: TlsServerOptions = {
    cert: SERVER_CERT,
    key: SERVER_KEY,
    alpnProtocols: ['x'],
    minVersion: 'TLSv1.3',
  };
  assert.deepEqual(toTlsServerOptions(structuredClone(options)), toTlsServerOptions(options));
});

test('a client needs no certificate, but checks the server unless told otherwise', () => {
  assert.equal(toTlsClientOptions({}).rejectUnauthorized, true);
  assert.equal(toTlsClientOptions({ serverName: 'example.test' }).servername, 'example.test');
  assert.throws(() => toTlsClientOptions({ cert: SERVER_CERT }), { code: 'REACTOR_OPTION_INVALID' });
});

test('what OpenSSL would refuse later is refused now, with a code and a reason', () => {
  const bad: [TlsServerOptions, RegExp][] = [
    [{}, /certFile and keyFile/],
    [{ cert: SERVER_CERT }, /certFile and keyFile/],
    [{ certFile: '/nonexistent/cert.pem', key: SERVER_KEY }, /certFile '\/nonexistent\/cert.pem'/],
    [{ cert: SERVER_CERT, certFile: 'x', key: SERVER_KEY }, /exclude each other/],
    [{ cert: 'not pem', key: SERVER_KEY }, /not usable/],
    [{ cert: SERVER_CERT, key: CLIENT_KEY }, /not usable/],
  ];
  for (const [options, reason] of bad) {
    assert.throws(() => toTlsServerOptions(options), { code: 'REACTOR_OPTION_INVALID', message: reason });
  }
});
