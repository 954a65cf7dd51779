// What members of different versions have to agree on before one of them may use it. A member tells the newest version it
// knows in the replicated list; once all that are listed know one, the leader puts it into the setting
// `protocol-version`, and from that entry on all of them do what it says. It never goes back.

/**
 * 1: what was there first.
 * 2: where keys vanished is remembered, so that EXEC may be told since when an absent key is watched; the order of SCAN
 *    is drawn by a seed.
 */
export const PROTOCOL_VERSION = 2;
export const PROTOCOL_VERSION_MIN = 1;
/** From here on vanished keys are remembered. */
export const VERSION_OF_VANISHED = 2;
