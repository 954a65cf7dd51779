// TLS options of our servers and clients as plain data, so that they can cross to another thread.
// Each thread turns them into options of node:tls itself, because a SecureContext cannot cross.
// Files are read here, once per call; a reload reads them again and so takes renewed certificates.

import { readFileSync } from 'node:fs';
import tls from 'node:tls';

import { ReactorError } from './errors.js';

interface TlsIdentityOptions {
  /** Path of our certificate chain, PEM, leaf first. Or give `cert`. */
  certFile?: string;
  /** Path of the certificate's private key, PEM. Or give `key`. */
  keyFile?: string;
  /** Path of the certificate authorities we trust for the other side, PEM. Or give `ca`. */
  caFile?: string;
  /** The same as PEM text. */
  cert?: string;
  key?: string;
  ca?: string;
  /** Decrypts the private key. */
  passphrase?: string;
  /** Application protocols, the preferred one first. Default: none is negotiated (HTTP services: http/1.1). */
  alpnProtocols?: readonly string[];
  /** Oldest protocol version accepted. Default 'TLSv1.2'. */
  minVersion?: 'TLSv1.2' | 'TLSv1.3';
}

export interface TlsServerOptions extends TlsIdentityOptions {
  /** Ask clients for a certificate. Default: true when certificate authorities are given, else false. */
  requestCert?: boolean;
  /** Refuse clients without a certificate that our authorities vouch for. Default true; needs `requestCert`. */
  rejectUnauthorized?: boolean;
}

export interface TlsClientOptions extends TlsIdentityOptions {
  /** Name to send (SNI) and to find in the server's certificate. Default: the host connected to. */
  serverName?: string;
  /** Refuse servers that our authorities (default: those of Node) do not vouch for. Default true. */
  rejectUnauthorized?: boolean;
}

/**
 * @throws ReactorError REACTOR_OPTION_INVALID: a file cannot be read, certificate or key is missing, is not PEM,
 *   or they do not belong together.
 */
export function toTlsServerOptions(options: TlsServerOptions): tls.TlsOptions {
  const identity = identityOf(options);
  if (identity.cert === undefined || identity.key === undefined) {
    throw invalid('certFile and keyFile (or cert and key) must both be given');
  }
  return {
    ...identity,
    requestCert: options.requestCert ?? identity.ca !== undefined,
    rejectUnauthorized: options.rejectUnauthorized ?? true,
  };
}

/**
 * @throws ReactorError REACTOR_OPTION_INVALID: a file cannot be read, is not PEM, or a certificate comes without
 *   its key.
 */
export function toTlsClientOptions(options: TlsClientOptions): tls.ConnectionOptions {
  const identity = identityOf(options);
  if ((identity.cert === undefined) !== (identity.key === undefined)) {
    throw invalid('a certificate and its key are given together');
  }
  return {
    ...identity,
    ...(options.serverName === undefined ? {} : { servername: options.serverName }),
    rejectUnauthorized: options.rejectUnauthorized ?? true,
  };
}

type Identity = Pick<
  tls.ConnectionOptions,
  'cert' | 'key' | 'ca' | 'passphrase' | 'ALPNProtocols' | 'minVersion'
>;

function identityOf(options: TlsIdentityOptions): Identity {
  const { passphrase, alpnProtocols } = options;
  const cert = pem('cert', options.cert, options.certFile);
  const key = pem('key', options.key, options.keyFile);
  const ca = pem('ca', options.ca, options.caFile);
  const identity: Identity = {
    minVersion: options.minVersion ?? 'TLSv1.2',
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(ca === undefined ? {} : { ca }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(alpnProtocols === undefined ? {} : { ALPNProtocols: [...alpnProtocols] }),
  };
  try {
    tls.createSecureContext(identity); // only to learn now whether OpenSSL takes them
  } catch (cause) {
    throw invalid(`certificate, key or authorities are not usable: ${(cause as Error).message}`, cause);
  }
  return identity;
}

function pem(
  name: 'cert' | 'key' | 'ca',
  text: string | undefined,
  file: string | undefined,
): string | undefined {
  if (text !== undefined && file !== undefined) throw invalid(`${name} and ${name}File exclude each other`);
  if (file === undefined) return text;
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw invalid(`${name}File '${file}' cannot be read: ${(cause as Error).message}`, cause);
  }
}

function invalid(what: string, cause?: unknown): ReactorError {
  return new ReactorError('REACTOR_OPTION_INVALID', `TLS options: ${what}`, { cause });
}
