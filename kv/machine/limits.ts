// Every bound of the machine that changes what it answers. They are part of the format: members that differ in one of
// them would drift apart, so they are constants here or settings that go through the log, never options of a process.

import assert from 'node:assert/strict';

/** Arguments of one command, its name included. */
export const ARGUMENTS_MAX: number = 1_048_576;
/** Commands of one EXEC, and keys that it may watch. */
export const EXEC_COMMANDS_MAX: number = 65_536;
/** Bytes of one batch; one item may be nearly as large. */
export const BATCH_BYTES_MAX: number = 600 * 2 ** 20;

/** A string value may not grow beyond this: 512 MiB as in Redis, less what the longest JavaScript string falls short of it. */
export const STRING_BYTES_MAX: number = 2 ** 29 - 1024;
/** What it may grow to where the setting `value-bytes-max` does not say otherwise: a command of 40 bytes makes it so long. */
export const STRING_BYTES_DEFAULT: number = 64 * 2 ** 20;
/** The setting may not be less: what one request can hold can be kept. */
export const STRING_BYTES_MIN: number = 4 * 2 ** 20;

/** Texts of other keys that one command gathers, each counted as often as it is named. */
export const GATHERED_BYTES_MAX: number = 128 * 2 ** 20;

/** Keys that one entry removes because their time has come. Reads hide the rest. */
export const EXPIRIES_PER_ENTRY_MAX: number = 10_000;

/** How far below the highest sequence of an origin a batch may still come for the first time. */
export const ORIGIN_WINDOW: number = 65_536;
/** Boots of an origin that are remembered as over. */
export const RETIRED_BOOTS_MAX: number = 8;
/** Origins that are remembered; beyond, the one that was silent longest is forgotten. */
export const ORIGINS_MAX: number = 256;

/** Settings in all, and the bytes of one. */
export const SETTINGS_MAX: number = 256;
export const SETTING_NAME_BYTES_MAX: number = 64;
export const SETTING_VALUE_BYTES_MAX: number = 4096;

/** A FLUSHALL of up to so many keys tells watchers of each; beyond, they get one `clear`. */
export const CLEAR_LISTED_MAX: number = 10_000;

/** Counted for each key besides its bytes and those of its value (docs/kv-machine.md has the measurement). */
export const KEY_OVERHEAD_BYTES: number = 112;
/** Counted for each key that has a deadline. */
export const DEADLINE_OVERHEAD_BYTES: number = 48;

assert(ORIGIN_WINDOW > 0);
assert(STRING_BYTES_MIN <= STRING_BYTES_DEFAULT && STRING_BYTES_DEFAULT <= STRING_BYTES_MAX);
assert(EXEC_COMMANDS_MAX <= ARGUMENTS_MAX);
