// TLS options of ours as grpc-js's credentials, for servers and for clients, and the name a client's certificate gives.
// The reactor reads and checks files and PEM text; here its options only change their shape.

import { type ChannelCredentials, credentials, ServerCredentials } from '@grpc/grpc-js';
import tls from 'node:tls';
import {
  type TlsClientOptions,
  type TlsServerOptions,
  toTlsClientOptions,
  toTlsServerOptions,
} from '../../reactor/index.js';

/** grpc-js's own `createSsl` knows neither passphrases nor protocol versions. */
class TlsServerCredentials extends ServerCredentials {
  constructor(options: TlsServerOptions) {
    const { requestCert, rejectUnauthorized, ALPNProtocols: _, ...context } = toTlsServerOptions(options);
    super(
      { requestCert: requestCert ?? false, rejectUnauthorized: rejectUnauthorized ?? true },
      context, // certificates, keys and versions
    );
  }

  _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

/** @throws ReactorError REACTOR_OPTION_INVALID: certificate, key or authorities are not usable */
export function serverCredentials(options: TlsServerOptions | undefined): ServerCredentials {
  return options === undefined ? ServerCredentials.createInsecure() : new TlsServerCredentials(options);
}

/** @throws ReactorError REACTOR_OPTION_INVALID: certificate, key or authorities are not usable */
export function channelCredentials(options: TlsClientOptions | undefined): ChannelCredentials {
  if (options === undefined) return credentials.createInsecure();
  const { rejectUnauthorized, servername: _, ALPNProtocols: __, ...context } = toTlsClientOptions(options);
  return credentials.createFromSecureContext(tls.createSecureContext(context), {
    rejectUnauthorized: rejectUnauthorized ?? true,
  });
}
