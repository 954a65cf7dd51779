// Logging in from a browser: the token goes into a cookie that no script can read.

import { RenderError } from '../errors.js';
import type { Access, Asker } from './access.js';
import { emptyAnswer } from './answer.js';
import { json } from './documented.js';
import type { Exchange, Route } from './route.js';
import { ref } from './schemas.js';

const TOKEN_LENGTH_MAX = 1024;

export function sessionRoutes(access: Access, askerOf: (exchange: Exchange) => Asker): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/api/v1/session',
      id: 'logIn',
      summary: 'Keeps a token in a cookie.',
      isOpen: true,
      body: ref('Login'),
      answers: {
        204: { summary: 'The cookie is set.', type: null },
        401: json('The token is not known here.', 'Error'),
        429: json('Too many wrong tokens: again after Retry-After.', 'Error'),
      },
      handle: async (exchange) => {
        const token = tokenIn(await exchange.json());
        return (
          access.refuseLogin(token, askerOf(exchange)) ??
          emptyAnswer({ 'set-cookie': access.cookieFor(token) })
        );
      },
    },
    {
      method: 'DELETE',
      path: '/api/v1/session',
      id: 'logOut',
      summary: 'Drops that cookie.',
      isOpen: true,
      answers: { 204: { summary: 'It is gone.', type: null } },
      handle: () => emptyAnswer({ 'set-cookie': access.cookieFor(null) }),
    },
  ];
}

/** @throws RenderError RENDER_REQUEST_INVALID */
function tokenIn(value: unknown): string {
  const token = typeof value === 'object' && value !== null && 'token' in value ? value.token : null;
  if (typeof token === 'string' && token !== '' && token.length <= TOKEN_LENGTH_MAX) return token;
  throw new RenderError('RENDER_REQUEST_INVALID', 'the body should be {"token":"…"}');
}
