// Finds the sockets that systemd opened for us before it started the process (socket activation).
// Whoever starts servers asks once, early, and passes the descriptors on as their `fd` option.
// The protocol: LISTEN_PID names the process meant, LISTEN_FDS counts descriptors from 3 on,
// LISTEN_FDNAMES names them, separated by colons.

import { ReactorError } from './errors.js';

export interface ActivatedSocket {
  /** FileDescriptorName= of the socket unit; 'unknown' when it has none. */
  readonly name: string;
  /** A listening stream socket or a bound datagram socket. It is the caller's to use and to close. */
  readonly fd: number;
}

const FIRST_FD = 3;
/** systemd itself passes far fewer; more can only be a mistake. */
const FDS_MAX = 4096;

/**
 * The activated sockets in the order of the unit file; empty when there are none or they are meant for
 * another process. Removes the variables from `env`, so that a child does not take the sockets for its own
 * and a second call finds nothing.
 * @throws ReactorError REACTOR_OPTION_INVALID: a variable cannot be right.
 */
export function takeActivatedSockets(
  env: NodeJS.ProcessEnv = process.env,
  pid: number = process.pid,
): readonly ActivatedSocket[] {
  const { LISTEN_PID: forPid, LISTEN_FDS: count, LISTEN_FDNAMES: names } = env;
  delete env['LISTEN_PID'];
  delete env['LISTEN_FDS'];
  delete env['LISTEN_FDNAMES'];
  if (forPid === undefined || count === undefined) return [];
  if (!/^\d+$/.test(forPid)) throw invalid('LISTEN_PID', 'a process id', forPid);
  if (Number(forPid) !== pid) return [];
  if (!/^\d+$/.test(count) || Number(count) > FDS_MAX)
    throw invalid('LISTEN_FDS', `a count up to ${FDS_MAX}`, count);
  const fdCount = Number(count);
  const nameList = names === undefined || names === '' ? [] : names.split(':');
  if (nameList.length > 0 && nameList.length !== fdCount) {
    throw invalid('LISTEN_FDNAMES', `${fdCount} names separated by colons`, names ?? '');
  }
  return Array.from({ length: fdCount }, (_, index) => ({
    name: nameList[index] ?? 'unknown',
    fd: FIRST_FD + index,
  }));
}

function invalid(variable: string, right: string, value: string): ReactorError {
  return new ReactorError('REACTOR_OPTION_INVALID', `${variable} must be ${right}, not '${value}'`);
}
