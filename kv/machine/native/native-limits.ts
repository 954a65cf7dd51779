// Bounds of the native commands that change results: the same on every member, so constants and no options.

import assert from 'node:assert/strict';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Above this the service refuses a request. */
export const REQUEST_BYTES_MAX: number = 1.5 * MIB;
export const KEY_BYTES_MAX: number = 64 * KIB;
/** Of what native commands make and show; the Redis commands may hold more under a key. */
export const VALUE_BYTES_MAX: number = 2 * MIB;
/** Keys and values of one answer, the first one aside. */
export const RESULT_BYTES_MAX: number = MIB;
export const RANGE_LIMIT_DEFAULT = 1000;
export const RANGE_LIMIT_MAX = 10_000;
/** Keys that one command may look at, and delete. */
export const VISITS_MAX = 100_000;
export const DELETES_MAX = 100_000;
export const TXN_OPERATIONS_MAX = 1024;

export const TTL_MS_MAX: number = 2 ** 40;

export const LEASES_MAX = 100_000;
export const LEASE_TTL_MS_MIN = 100;
export const LEASE_KEYS_MAX = 10_000;
export const LEASE_IDS_MAX = 1000;
/** Keys that leases may take with them at the start of one entry; the rest go with the next. */
export const LEASE_EXPIRIES_MAX = 10_000;

export const SESSIONS_MAX = 10_000;
export const SESSION_TTL_MS_MIN = 1000;
export const SESSION_TTL_MS_MAX = 86_400_000;
export const SESSION_TTL_MS_DEFAULT = 60_000;
/** Sequences from the first unacknowledged one on that a session may use. */
export const SESSION_WINDOW = 64;
/** Answers that one session keeps for retries; of older ones only the fact stays. */
export const SESSION_REPLY_BYTES_MAX: number = 64 * KIB;

/** Prefixes whose counter is remembered one by one. */
export const COUNTERS_MAX = 10_000;
export const COUNTER_DIGITS = 10;

assert(RANGE_LIMIT_MAX <= VISITS_MAX, 'a page can be full');
assert(LEASE_KEYS_MAX <= LEASE_EXPIRIES_MAX, 'a lease goes as a whole');
assert(VALUE_BYTES_MAX >= REQUEST_BYTES_MAX, 'what can be put can be read');
