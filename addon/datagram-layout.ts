// The memory that a Datagrams and its TypeScript half share: word numbers and values, as constants for hot loops.
// addon/src/transport/datagram_socket.h and binding/datagrams.cc have the same numbers; they change together.

/** Records of one batch at most. */
export const DATAGRAMS_PER_BATCH = 64;

/** An address as the kernel has it, a sockaddr_in or sockaddr_in6; all zero: the connected peer. */
export const DATAGRAM_ADDRESS_WORDS = 7;

/** Words of one record of a batch: event, offset or errno, bytes or count, address. */
export const DATAGRAM_WORDS = 10;
export const DATAGRAM_EVENT = 0;
export const DATAGRAM_OFFSET = 1;
export const DATAGRAM_ERRNO = 1;
export const DATAGRAM_BYTES = 2;
export const DATAGRAM_COUNT = 2;
export const DATAGRAM_ADDRESS = 3;

/** A datagram. Offset in the receive slab, bytes, address of the sender. */
export const DATAGRAM_RECEIVED = 1;
/** One of more than datagramBytesMax was dropped. Its real bytes, address of the sender. */
export const DATAGRAM_TRUNCATED = 2;
/** The network answered what was sent earlier with an error (ICMP). errno, how often. */
export const DATAGRAM_RECEIVE_FAILED = 3;
/** The kernel refused datagrams. errno, how many. */
export const DATAGRAM_SEND_FAILED = 4;
/** Datagrams beyond the bounds of the queue were dropped. How many. */
export const DATAGRAM_QUEUE_FULL = 5;
/** What waited for the kernel is gone. */
export const DATAGRAM_DRAINED = 6;

/** Words of one datagram to send: offset in the send slab, bytes, address. */
export const DATAGRAM_SEND_WORDS = 9;
export const DATAGRAM_SEND_OFFSET = 0;
export const DATAGRAM_SEND_BYTES = 1;
export const DATAGRAM_SEND_ADDRESS = 2;

/** Words of the control table. TypeScript counts the first two up, C++ sets them to 0 when it has sent the records. */
export const DATAGRAM_CONTROL_WORDS = 4;
export const DATAGRAM_CONTROL_RECORDS = 0;
export const DATAGRAM_CONTROL_BYTES = 1;
/** Bytes and datagrams that wait for the kernel; written by C++ only. */
export const DATAGRAM_CONTROL_WAITING_BYTES = 2;
export const DATAGRAM_CONTROL_WAITING = 3;
