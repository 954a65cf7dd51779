// The Error for an errno that arrived as a bare number, in the event table of the native transport.
// Shaped like Node's own system errors, so that `cause.code` reads the same on both transports.

import { getSystemErrorMap } from 'node:util';

/** `errno` is positive, as in C. */
export function systemError(errno: number, syscall?: string): NodeJS.ErrnoException {
  const [code, text] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, 'unknown error'];
  const message = syscall === undefined ? `${code}: ${text}` : `${syscall} ${code}: ${text}`;
  return Object.assign(new Error(message), {
    code,
    errno: -errno,
    ...(syscall === undefined ? {} : { syscall }),
  });
}
