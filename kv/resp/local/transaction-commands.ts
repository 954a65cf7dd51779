// MULTI, EXEC, WATCH and what ends them. A transaction is one item of the log: it is executed as a whole on every member,
// or not at all if a watched key has changed by then.

import { ErrorReply, NIL_ARRAY, OK, type Reply } from '../../machine/reply.js';
import { VERSION_OF_VANISHED } from '../../machine/protocol-version.js';
import { REPLY_BYTES_MAX, ReplyBudget } from '../../machine/reply-budget.js';
import { type LocalCommand, NO_REPLY } from '../command-set.js';
import type { RespClient } from '../resp-client.js';
import { Transaction } from '../transaction.js';
import { lookFresh, submitAll } from './through-log.js';

/** Keys that one client watches. */
const WATCHES_MAX = 65_536;

export const transactionCommands: readonly LocalCommand[] = [
  { name: 'multi', arity: 1, run: multi, inTransaction: 'now', summary: 'Begins a transaction' },
  { name: 'exec', arity: 1, run: exec, inTransaction: 'now', summary: 'Executes what was queued' },
  { name: 'discard', arity: 1, run: discard, inTransaction: 'now', summary: 'Forgets what was queued' },
  {
    name: 'watch',
    arity: -2,
    run: watch,
    inTransaction: 'now',
    summary: 'Executes only if these keys stay as they are',
  },
  { name: 'unwatch', arity: 1, run: unwatch, summary: 'Forgets watched keys' },
];

function multi(client: RespClient): Reply {
  if (client.transaction !== null) return new ErrorReply('ERR MULTI calls can not be nested');
  client.transaction = new Transaction(client.shared.limits.requestBytesMax);
  return OK;
}

function discard(client: RespClient): Reply {
  if (client.transaction === null) return new ErrorReply('ERR DISCARD without MULTI');
  client.forgetTransaction();
  return OK;
}

function unwatch(client: RespClient): Reply {
  client.letGo(client.watches.keys());
  client.watches.clear();
  return OK;
}

function watch(client: RespClient, args: readonly string[]): Reply | Promise<Reply> {
  if (client.transaction !== null) return new ErrorReply('ERR WATCH inside MULTI is not allowed');
  const keys = [...new Set(args.slice(1))].filter((key) => !client.watches.has(key));
  if (client.watches.size + keys.length > WATCHES_MAX || !client.hold(keys))
    return new ErrorReply('ERR too many keys are watched');
  return lookFresh(client.shared, () => {
    const { keyspace, revision } = client.shared.backend.machine;
    for (const key of keys) client.watches.set(key, { version: keyspace.find(key)?.version ?? 0, revision });
    return OK;
  }).catch((error: unknown) => {
    client.letGo(keys);
    throw error;
  });
}

function exec(client: RespClient): Reply | Promise<Reply> {
  const { transaction, shared } = client;
  if (transaction === null) return new ErrorReply('ERR EXEC without MULTI');
  const { machine } = shared.backend;
  const isKept = machine.settings.protocolVersion >= VERSION_OF_VANISHED;
  const watches = [...client.watches].map(([key, { version, revision }]) =>
    isKept ? { key, version, revision } : { key, version },
  );
  // A key that was absent has no version that could tell whether it came and went again.
  const absent = [...client.watches].filter(([, { version }]) => version === 0);
  client.forgetTransaction();
  if (transaction.isBroken)
    return new ErrorReply('EXECABORT Transaction discarded because of previous errors.');
  // Until all members remember where keys vanished, the history of this one has to do: it says less.
  if (absent.length === 0 || isKept) return execute(client, transaction, watches);
  return lookFresh(shared, () => {
    const { history, revision: now } = shared.backend.machine;
    return absent.some(([key, { revision }]) =>
      history.isOn ? history.mayHaveChanged(key, revision) : now > revision,
    );
  }).then((isTouched) => (isTouched ? NIL_ARRAY : execute(client, transaction, watches)));
}

function execute(
  client: RespClient,
  transaction: Transaction,
  watches: readonly { readonly key: string; readonly version: number }[],
): Reply | Promise<Reply> {
  const { shared } = client;
  const logged = transaction.queued.filter(({ command }) => command.local === null);
  if (logged.length === 0 && watches.length === 0) return answerAll(client, transaction, []);
  for (const { command } of logged) command.stats.calls += 1;
  shared.items.exec(
    watches,
    logged.map(({ args }) => args),
  );
  return submitAll(shared).then(([reply]) => {
    if (reply === NIL_ARRAY || !Array.isArray(reply)) return reply!;
    const replies = reply as readonly Reply[];
    return replies.length === transaction.queued.length ? replies : answerAll(client, transaction, replies);
  });
}

/** Puts the answers of the log and those of the connection in the order in which they were queued. */
async function answerAll(
  client: RespClient,
  { queued }: Transaction,
  logged: readonly Reply[],
): Promise<Reply> {
  const replies: Reply[] = [];
  const budget = new ReplyBudget(REPLY_BYTES_MAX);
  let next = 0;
  for (const { command, args } of queued) {
    if (command.local === null) {
      replies.push(logged[next]!);
      next += 1;
    } else if (budget.isSpent) {
      replies.push(budget.refusal);
    } else {
      const reply = await client.answerOf(command, args);
      replies.push(reply === NO_REPLY ? null : budget.admit(reply, false));
    }
  }
  return replies;
}
