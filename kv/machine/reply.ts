// What a command answers, before any protocol has a say: kv/resp writes it as RESP2 or RESP3, kv/service as protobuf.
// Plain JavaScript values stand for the common answers; everything else is one of the small classes below.
// Strings hold one character per byte (latin1). Replies are shared and never changed after they were made.

export type Reply =
  | null // nil
  | number // an integer
  | bigint // an integer beyond 2^53
  | string // a bulk string
  | Buffer // a bulk string; valid until the machine applies its next entry
  | readonly Reply[] // an array
  | StatusReply
  | ErrorReply
  | DoubleReply
  | MapReply
  | SetReply
  | PairsReply
  | BooleanReply
  | VerbatimReply
  | NilArray
  | NativeReply;

/** A simple string, `+OK`. */
export class StatusReply {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** An error with its code as first word: `WRONGTYPE Operation against …`. No line break. */
export class ErrorReply {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** A double in RESP3, its decimal text as a bulk string in RESP2. */
export class DoubleReply {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** A map in RESP3, the flat array of keys and values in RESP2. */
export class MapReply {
  /** Key, value, key, value … */
  readonly flat: readonly Reply[];

  constructor(flat: readonly Reply[]) {
    this.flat = flat;
  }
}

/** A set in RESP3, an array in RESP2. */
export class SetReply {
  readonly items: readonly Reply[];

  constructor(items: readonly Reply[]) {
    this.items = items;
  }
}

/** What lies behind each other in RESP2 or RESP3 but is nested in the other one. */
export class PairsReply {
  /** First, second, first, second … */
  readonly flat: readonly Reply[];
  /**
   * `pairs`, members with scores or fields with values: flat in RESP2, an array of arrays of two in RESP3.
   * `map`, streams with entries: an array of arrays of two in RESP2, a map in RESP3.
   */
  readonly form: 'pairs' | 'map';

  constructor(flat: readonly Reply[], form: 'pairs' | 'map' = 'pairs') {
    this.flat = flat;
    this.form = form;
  }
}

/** A boolean in RESP3, 1 or 0 in RESP2. */
export class BooleanReply {
  readonly value: boolean;

  constructor(value: boolean) {
    this.value = value;
  }
}

/** A verbatim string in RESP3, a bulk string in RESP2. */
export class VerbatimReply {
  /** Three letters, `txt` or `mkd`. */
  readonly format: string;
  readonly text: string;

  constructor(format: string, text: string) {
    this.format = format;
    this.text = text;
  }
}

/** Nil where an array was possible: `*-1` in RESP2, nil in RESP3. Use NIL_ARRAY. */
export class NilArray {
  readonly nil = true;
}

/** The outcome of a native command, a message `reactornet.kv.Outcome`, for kv/service. */
export class NativeReply {
  readonly outcome: unknown;

  constructor(outcome: unknown) {
    this.outcome = outcome;
  }
}

export const OK: StatusReply = new StatusReply('OK');
export const NIL_ARRAY: NilArray = new NilArray();
export const EMPTY_ARRAY: readonly Reply[] = Object.freeze([]);

export const WRONG_TYPE: ErrorReply = new ErrorReply(
  'WRONGTYPE Operation against a key holding the wrong kind of value',
);
export const SYNTAX_ERROR: ErrorReply = new ErrorReply('ERR syntax error');
export const NOT_AN_INTEGER: ErrorReply = new ErrorReply('ERR value is not an integer or out of range');
/** What a write that needs memory gets while the machine is above its quota. */
export const OUT_OF_MEMORY: ErrorReply = new ErrorReply(
  "OOM command not allowed when used memory > 'maxmemory'.",
);

/**
 * Thrown inside a command to end it with an error reply; the machine catches it and nothing else.
 * Throw before the first change: what a command changed stays changed.
 */
export class CommandFailure extends Error {
  readonly reply: ErrorReply;

  constructor(reply: ErrorReply) {
    super(reply.text);
    this.name = 'CommandFailure';
    this.reply = reply;
  }
}

/** One object for all, since taking a stack trace costs more than the command that fails. */
export const WRONG_TYPE_FAILURE: CommandFailure = new CommandFailure(WRONG_TYPE);
