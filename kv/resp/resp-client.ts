// One client: takes its bytes, makes commands of them, sends runs of them through the log or to a fresh state, answers.
// resp-server.ts makes one per connection. What the connection answers by itself is in local/; access-list.ts, the
// settings and the rest of what clients share are in RespShared.
// At most one run is under way; what the client sends meanwhile waits, bounded, and becomes the next run.

import type { Connection } from '../../reactor/index.js';
import { KvError } from '../errors.js';
import type { EncodedItems } from '../machine/batch.js';
import { latin1 } from '../machine/bytes.js';
import { CommandFailure, ErrorReply, type Reply, StatusReply } from '../machine/reply.js';
import type { User } from './access-list.js';
import { CommandRun } from './command-run.js';
import { type Command, NO_REPLY } from './command-set.js';
import {
  errorReplyOf,
  NO_AUTH,
  NO_CHANNEL_PERMISSION,
  NO_KEY_PERMISSION,
  noPermission,
  unknownCommand,
  wrongArity,
} from './error-replies.js';
import { estimatedReplyBytes } from './reply-estimate.js';
import { ReplyWriter } from './reply-writer.js';
import { RequestParser } from './request-parser.js';
import type { RespShared } from './resp-shared.js';
import { slowArguments } from './slow-log.js';
import type { Subscriber } from './subscriptions.js';
import { Transaction } from './transaction.js';

/** Commands of one run. */
const RUN_COMMANDS_MAX = 4096;
/** Bytes of one run; a single command may be larger. */
const RUN_BYTES_MAX = 512 * 1024;
/** Answers that wait for a client before its next command is looked at. */
const OUTPUT_WAITING_MAX = 4 * 1024 * 1024;

/** What one client may have kept between its commands. */
const HELD_BYTES_MAX = 64 * 1024 * 1024;
/** Counted for each text that is kept besides its bytes. */
const HELD_OVERHEAD_BYTES = 96;

const QUEUED = new StatusReply('QUEUED');
const TOO_LARGE_TRANSACTION = new ErrorReply('ERR the transaction is too large');

export class RespClient implements Subscriber {
  readonly id: number;
  readonly connection: Connection;
  readonly shared: RespShared;
  readonly writer: ReplyWriter;
  readonly connectedAtMs: number;
  lastInputMs: number;
  name = '';
  libraryName = '';
  libraryVersion = '';
  /** null: it has to say who it is. */
  user: User | null;
  /** READONLY: reads are answered from what this member has. */
  isStale = false;
  transaction: Transaction | null = null;
  /** Watched keys, the versions they had, 0 for none, and the store's revision then. */
  readonly watches: Map<string, { readonly version: number; readonly revision: number }> = new Map();
  readonly channels: Set<string> = new Set();
  readonly patterns: Set<string> = new Set();
  lastCommand = '';
  /** CLIENT REPLY SKIP: the next command is not answered. */
  skipsNext = false;
  /** CLIENT REPLY OFF. */
  isSilenced = false;
  #heldBytes = 0;
  /** When the request that is not whole yet began to come; 0: there is none. */
  partialSinceMs = 0;
  /** Since when more waits for a subscriber than it should; 0: it does not. */
  behindSinceMs = 0;

  readonly #parser: RequestParser;
  readonly #run = new CommandRun();
  /** Of a run that goes through the log, for the slow log. */
  #items: EncodedItems | null = null;
  #startedMs = 0;
  #isBusy = false;
  #isPumping = false;
  /** Nothing more is taken; what is under way is answered. */
  #isEnding = false;
  #hasEnded = false;
  #isPaused = false;
  /** The client has closed its side: it ends once what it has sent is answered. */
  #isLast = false;
  /** The run reads what is fresh enough, and has to wait for the client to take answers. */
  #isAnswering = false;

  constructor(id: number, connection: Connection, shared: RespShared) {
    this.id = id;
    this.connection = connection;
    this.shared = shared;
    this.connectedAtMs = Date.now();
    this.lastInputMs = shared.loop.nowMs;
    this.writer = new ReplyWriter(connection);
    this.#parser = new RequestParser(shared.limits, shared.budget);
    this.user = shared.access.stranger;
    this.#parser.isStranger = this.user === null;
  }

  // What the connection tells.

  /** One chunk, which is only lent. */
  receive(chunk: Buffer): void {
    const { shared } = this;
    this.lastInputMs = shared.loop.nowMs;
    if (this.#isEnding) return;
    this.#parser.add(chunk);
    this.#advance();
    if (this.#isEnding) return;
    this.#parser.keep();
    this.#boundInput();
  }

  /** The client has read what waited. */
  drained(): void {
    this.behindSinceMs = 0;
    if (this.#isAnswering) this.#answerReads();
    else this.#goOn();
  }

  /** The client will send no more; what it has sent is still answered. */
  halfClosed(): void {
    this.#isLast = true;
    this.#goOn();
  }

  /** The connection is gone. */
  closed(): void {
    this.#hasEnded = true;
    this.#isEnding = true;
    this.#parser.release();
    this.shared.subscriptions.forget(this);
    this.shared.held.bytes -= this.#heldBytes;
    this.#heldBytes = 0;
  }

  // What the server and local commands ask.

  /** Counts texts that are kept until `letGo`, or until the client is gone; false when that is too much. */
  hold(texts: Iterable<string>): boolean {
    const { held } = this.shared;
    const bytes = heldBytes(texts);
    if (this.#hasEnded || this.#heldBytes + bytes > HELD_BYTES_MAX || held.bytes + bytes > held.bytesMax)
      return false;
    this.#heldBytes += bytes;
    held.bytes += bytes;
    return true;
  }

  letGo(texts: Iterable<string>): void {
    const bytes = Math.min(heldBytes(texts), this.#heldBytes);
    this.#heldBytes -= bytes;
    this.shared.held.bytes -= bytes;
  }

  /** Ends a transaction, if there is one, and forgets watched keys. */
  forgetTransaction(): void {
    for (const { args } of this.transaction?.queued ?? []) this.letGo(args);
    this.transaction = null;
    this.letGo(this.watches.keys());
    this.watches.clear();
  }

  /** A run or an answer is under way. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get isSubscribed(): boolean {
    return this.channels.size + this.patterns.size > 0;
  }

  /** Bytes received that no command was made of yet. */
  get waitingBytes(): number {
    return this.#parser.waitingBytes;
  }

  /** It is somebody from here on. */
  become(user: User | null): void {
    this.user = user;
    this.#parser.isStranger = user === null;
  }

  /** Takes nothing more; ends once what is under way is answered. For commands, whose answer goes out before. */
  leave(): void {
    this.#isEnding = true;
  }

  /** The same from outside of a command. */
  finish(): void {
    this.#isEnding = true;
    if (!this.#isBusy && !this.#isPumping) this.end();
  }

  /** Delivers what was answered, then ends. */
  end(): void {
    this.#isEnding = true;
    this.writer.flush();
    this.#parser.release();
    this.connection.end();
  }

  /** Ends at once: the client does not read. */
  cut(): void {
    this.#isEnding = true;
    this.#parser.release();
    this.connection.reset();
  }

  /** The input makes no sense, or too much of it waits: says so and ends. */
  fail(text: string): void {
    this.shared.figures.protocolErrors += 1;
    this.writer.isMuted = false;
    this.writer.add(new ErrorReply(text));
    this.end();
  }

  /** Subscriber. */
  push(message: readonly string[]): void {
    this.writer.addPush(message);
    this.shared.flushSoon(this);
  }

  /** Hands answers to the connection; called by flushSoon. */
  flush(): void {
    this.writer.flush();
    this.#boundOutput();
  }

  // Commands.

  /** Goes on with what waits, after something was answered outside of `receive`. */
  #goOn(): void {
    if (this.#isPumping || this.#isBusy || this.#hasEnded) return;
    if (this.#isEnding) {
      this.end();
      return;
    }
    this.#advance();
    if (this.#isEnding) return;
    this.#parser.keep();
    this.#boundInput();
    if (
      this.#isLast &&
      !this.#isBusy &&
      !this.#isAnswering &&
      this.connection.outputBytes <= OUTPUT_WAITING_MAX
    )
      this.end();
  }

  #advance(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    const before = this.#parser.waitingBytes;
    try {
      while (!this.#isBusy && !this.#isEnding && this.connection.outputBytes <= OUTPUT_WAITING_MAX) {
        if (!this.#takeRun()) break;
      }
    } finally {
      this.#isPumping = false;
      this.writer.flush();
    }
    if (this.#parser.waitingBytes !== before) this.partialSinceMs = 0;
    if (this.#isEnding && !this.#isBusy && !this.#hasEnded) this.end();
  }

  /** Takes the next run, or the next command that the connection answers; false when the input has none. */
  #takeRun(): boolean {
    const parser = this.#parser;
    const run = this.#run;
    run.clear();
    parser.beginGroup();
    let isFinished = false;
    for (;;) {
      const found = parser.next();
      if (found === 'incomplete') {
        isFinished = true;
        break;
      }
      if (found === 'error') {
        if (run.count > 0) break;
        this.fail(parser.error);
        return false;
      }
      const command = this.#find();
      const refusal = command === undefined ? this.#unknown() : this.#judge(command);
      const isOwn = refusal !== null || command!.local !== null || this.transaction !== null;
      const isFull =
        run.count >= (this.skipsNext ? 1 : RUN_COMMANDS_MAX) ||
        run.bytes + parser.commandBytes > RUN_BYTES_MAX;
      if (run.count > 0 && (isOwn || isFull || !this.#mayAnswerTogether(command!))) {
        parser.putBack(); // it begins what comes after this run
        break;
      }
      if (isOwn) {
        if (refusal === null) this.#answerItself(command!);
        else this.#refuse(command, refusal);
        return true;
      }
      run.add(command!, parser.firstArg, parser.argCount, parser.commandBytes);
    }
    if (run.count > 0) this.#start();
    return run.count > 0 || !isFinished;
  }

  /** Whether the run stays one whose answers may all be there at once when the command is added to it. */
  #mayAnswerTogether(command: Command): boolean {
    const run = this.#run;
    if (!run.hasWrites) {
      if (command.isRead) return true; // reads alone are answered one by one
      for (let index = 0; index < run.count; index += 1)
        run.replyBytes += this.#estimate(run.commands[index]!, run.firstArg(index), run.argCount(index));
    }
    if (!command.isBrief) {
      if (run.amplifies) return false;
      run.replyBytes += this.#estimate(command, this.#parser.firstArg, this.#parser.argCount);
    }
    return run.replyBytes <= OUTPUT_WAITING_MAX;
  }

  #estimate(command: Command, firstArg: number, argCount: number): number {
    if (command.isBrief) return 0;
    const { keyspace } = this.shared.backend.machine;
    return estimatedReplyBytes(keyspace, command, this.#argumentsAt(firstArg, argCount));
  }

  #find(): Command | undefined {
    const { offsets, firstArg, bytes } = this.#parser;
    return this.shared.commands.index.find(bytes, offsets[firstArg * 2]!, offsets[firstArg * 2 + 1]!);
  }

  /** Why a command may not be executed; null if it may. */
  #judge(command: Command): ErrorReply | null {
    const { argCount } = this.#parser;
    if (!command.takes(argCount)) return wrongArity(command.name);
    if (this.user === null) return command.isForStrangers ? null : NO_AUTH;
    if (!this.user.isUnlimited && !command.isForStrangers) {
      const refusal = this.#judgePermission(command, this.user);
      if (refusal !== null) return refusal;
    }
    if (this.writer.protocol === 2 && this.isSubscribed && !command.isForSubscribers)
      return new ErrorReply(
        `ERR Can't execute '${command.name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context`,
      );
    if (this.transaction !== null && command.inTransaction === 'refuse')
      return new ErrorReply('ERR Command not allowed inside a transaction');
    return null;
  }

  #judgePermission(command: Command, user: User): ErrorReply | null {
    if (!user.mayRun(command)) return noPermission(command.name);
    const args = this.#arguments();
    for (const key of command.keysOf(args)) if (!user.mayTouch(key)) return NO_KEY_PERMISSION;
    if (command.group !== 'pubsub') return null;
    const isPattern = command.name === 'psubscribe';
    const isSubscription = isPattern || command.name === 'subscribe';
    if (!isSubscription && command.name !== 'publish') return null;
    for (const channel of isSubscription ? args.slice(1) : [args[1]!]) {
      if (!(isPattern ? user.mayHearPattern(channel) : user.mayHear(channel))) return NO_CHANNEL_PERMISSION;
    }
    return null;
  }

  #unknown(): ErrorReply {
    return unknownCommand(this.#arguments());
  }

  #refuse(command: Command | undefined, refusal: ErrorReply): void {
    if (command !== undefined) command.stats.rejected += 1;
    if (this.transaction !== null) this.transaction.isBroken = true;
    this.#answer(refusal);
  }

  /** Queues the command behind MULTI, or has local/ answer it. */
  #answerItself(command: Command): void {
    const args = this.#arguments();
    this.lastCommand = command.name;
    if (this.transaction !== null && command.inTransaction === 'queue') {
      const isHeld = this.hold(args);
      if (isHeld && this.transaction.queue(command, args)) {
        this.#answer(QUEUED);
      } else {
        if (isHeld) this.letGo(args);
        this.transaction.isBroken = true;
        this.#answer(TOO_LARGE_TRANSACTION);
      }
      return;
    }
    const startedMs = performance.now();
    const reply = this.answerOf(command, args);
    if (!(reply instanceof Promise)) {
      this.#answered(command, args, startedMs, reply);
      return;
    }
    this.#isBusy = true;
    void reply.then((late) => {
      this.#isBusy = false;
      if (this.#hasEnded) return;
      this.#answered(command, args, startedMs, late);
      this.writer.flush();
      this.#goOn();
    });
  }

  /** What a local command answers. The promise never rejects. */
  answerOf(command: Command, args: readonly string[]): Reply | typeof NO_REPLY | Promise<Reply> {
    try {
      const reply = command.local!(this, args);
      return reply instanceof Promise ? reply.catch((error: unknown) => this.#failureReply(error)) : reply;
    } catch (error) {
      return this.#failureReply(error);
    }
  }

  #answered(
    command: Command,
    args: readonly string[],
    startedMs: number,
    reply: Reply | typeof NO_REPLY,
  ): void {
    const micros = Math.round((performance.now() - startedMs) * 1000);
    command.stats.calls += 1;
    command.stats.micros += micros;
    this.shared.figures.commands += 1;
    if (reply instanceof ErrorReply) command.stats.failed += 1;
    if (command.name !== 'exec' && this.shared.slowLog.isSlow(micros)) this.#noteSlow(micros, args);
    if (reply !== NO_REPLY) this.#answer(reply);
  }

  #answer(reply: Reply): void {
    this.writer.isMuted = this.isSilenced || this.skipsNext;
    this.writer.add(reply);
    this.skipsNext = false;
  }

  /** Sends the run on its way. */
  #start(): void {
    const { shared } = this;
    const run = this.#run;
    this.lastCommand = run.commands[run.count - 1]!.name;
    this.#startedMs = performance.now();
    this.#isBusy = true;
    if (run.hasWrites) {
      const { bytes, offsets } = this.#parser;
      const { items } = shared;
      for (let index = 0; index < run.count; index += 1)
        items.copied(bytes, offsets, run.firstArg(index), run.argCount(index), run.commands[index]!.isRead);
      this.#items = items.take();
      shared.backend.submit(this.#items, this.#onReplies);
      return;
    }
    for (let index = 0; index < run.count; index += 1)
      run.args.push(this.#argumentsAt(run.firstArg(index), run.argCount(index)));
    if (this.isStale) this.#answerReads();
    else shared.backend.read(this.#onFresh);
  }

  readonly #onReplies = (error: KvError | null, replies: readonly Reply[] | null): void => {
    if (!this.#hasEnded) {
      const run = this.#run;
      const failure = error === null ? null : errorReplyOf(error);
      this.writer.isMuted = this.isSilenced || this.skipsNext;
      for (let index = 0; index < run.count; index += 1) {
        const reply = failure ?? replies![index]!;
        if (reply instanceof ErrorReply) run.commands[index]!.stats.failed += 1;
        this.writer.add(reply);
      }
    }
    this.#finished();
  };

  readonly #onFresh = (error: KvError | null): void => {
    if (error === null && !this.#hasEnded) {
      this.#answerReads();
      return;
    }
    if (!this.#hasEnded) {
      const failure = errorReplyOf(error!);
      this.writer.isMuted = this.isSilenced || this.skipsNext;
      for (let index = 0; index < this.#run.count; index += 1) {
        this.#run.commands[index]!.stats.failed += 1;
        this.writer.add(failure);
      }
    }
    this.#finished();
  };

  /** Answers reads of the run one by one, until too much waits for the client; `drained` goes on then. */
  #answerReads(): void {
    const run = this.#run;
    const { machine } = this.shared.backend;
    this.writer.isMuted = this.isSilenced || this.skipsNext;
    this.#isAnswering = true;
    while (run.answered < run.count) {
      if (this.connection.outputBytes > OUTPUT_WAITING_MAX) return;
      const reply = machine.query(run.args[run.answered]!);
      if (reply instanceof ErrorReply) run.commands[run.answered]!.stats.failed += 1;
      this.writer.add(reply);
      run.answered += 1;
    }
    this.#isAnswering = false;
    this.#finished();
  }

  /** The run is answered. */
  #finished(): void {
    const run = this.#run;
    const { figures, slowLog } = this.shared;
    const micros = (performance.now() - this.#startedMs) * 1000;
    const share = micros / run.count;
    for (let index = 0; index < run.count; index += 1) {
      const { stats } = run.commands[index]!;
      stats.calls += 1;
      stats.micros += share;
    }
    figures.commands += run.count;
    figures.runs += 1;
    if (slowLog.isSlow(micros))
      this.#noteSlow(
        Math.round(micros),
        this.#items === null ? run.args[0]! : slowArguments(this.#items.bytes),
        run.count,
      );
    this.#items = null;
    this.#isBusy = false;
    this.skipsNext = false;
    if (this.#hasEnded || this.#isPumping) return;
    this.#goOn();
    if (!this.#hasEnded) this.writer.flush();
  }

  #noteSlow(micros: number, args: readonly string[], count = 1): void {
    const { remoteAddress = 'unix', remotePort = 0 } = this.connection;
    this.shared.slowLog.note({
      atSeconds: Math.floor(Date.now() / 1000),
      micros,
      args: count === 1 ? args : [...args, `... (${count - 1} more commands with it)`],
      address: `${remoteAddress}:${remotePort}`,
      clientName: this.name,
    });
  }

  // Input.

  #arguments(): string[] {
    return this.#argumentsAt(this.#parser.firstArg, this.#parser.argCount);
  }

  #argumentsAt(first: number, count: number): string[] {
    const { bytes, offsets } = this.#parser;
    const args: string[] = [];
    for (let slot = first * 2; slot < (first + count) * 2; slot += 2)
      args.push(latin1(bytes, offsets[slot]!, offsets[slot + 1]!));
    return args;
  }

  /** Stops reading while enough waits, and gives up a client whose share of too much it is. */
  #boundInput(): void {
    const { shared } = this;
    const waiting = this.#parser.waitingBytes;
    if (waiting === 0) this.partialSinceMs = 0;
    else if (this.partialSinceMs === 0) this.partialSinceMs = shared.loop.nowMs;
    const isBlocked = this.#isBusy || this.connection.outputBytes > OUTPUT_WAITING_MAX;
    if (waiting > 0 && shared.budget.isExceeded && !isBlocked) {
      this.fail('ERR Protocol error: requests of all clients together take too much memory');
      return;
    }
    const shouldPause = isBlocked && (waiting > shared.limits.waitingBytesMax || shared.budget.isExceeded);
    if (shouldPause === this.#isPaused) return;
    this.#isPaused = shouldPause;
    if (shouldPause) this.connection.pause();
    else this.connection.resume();
  }

  /** A subscriber that does not read is not written to for ever. */
  #boundOutput(): void {
    const { subscriberBytesMax, subscriberSoftBytes } = this.shared.limits;
    const waiting = this.connection.outputBytes;
    if (waiting > subscriberBytesMax) {
      this.shared.figures.clientsCut += 1;
      this.cut();
    } else if (waiting <= subscriberSoftBytes) {
      this.behindSinceMs = 0;
    } else if (this.behindSinceMs === 0) {
      this.behindSinceMs = this.shared.loop.nowMs;
    }
  }

  #failureReply(error: unknown): ErrorReply {
    if (error instanceof CommandFailure) return error.reply;
    if (error instanceof KvError) return errorReplyOf(error);
    this.shared.reportDefect(error);
    return new ErrorReply('ERR internal error');
  }
}

function heldBytes(texts: Iterable<string>): number {
  let bytes = 0;
  for (const text of texts) bytes += text.length + HELD_OVERHEAD_BYTES;
  return bytes;
}
