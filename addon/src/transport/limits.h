// The bounds of one engine's work, per system call, socket and turn.
#pragma once

#include <cstddef>
#include <cstdint>

namespace reactor_net {

/** One recv; what libuv reads at a time too. */
constexpr size_t kReceiveBytesMax = 64 * 1024;
/** Read from one connection in one turn of the loop, so that a fast sender does not hold up the others. */
constexpr uint32_t kTurnBytesMax = 256 * 1024;
/** Of files, sent to one connection in one turn: a fast reader of a large one does not hold up the others. */
constexpr uint32_t kFileTurnBytesMax = 256 * 1024;
/** A batch that has as much is handed over: with more, the frames of the first sockets leave the processor's cache. */
constexpr size_t kBatchBytesEnough = 16 * 1024;
/** But not before it has so many events, so that large messages share the call into JavaScript too. */
constexpr size_t kBatchEventsEnough = 14;
/** Below this much room in the slab or the table the rest of a stream waits for the next batch. */
constexpr size_t kReceiveBytesMin = 4 * 1024;
/**
 * Connections taken from one listener in one poll. More would come in before TypeScript can look at what is left of
 * the descriptors, and outside of storms a second accept4 finds nothing anyway (libuv's finding too).
 */
constexpr int kAcceptsPerTurnMax = 1;
/** Pieces of one sendmsg (IOV_MAX of Linux). */
constexpr int kVectorsMax = 1024;
/** Event records a socket may fill beside its frames: the most is a listener's. */
constexpr size_t kRecordsPerSocketMin = kAcceptsPerTurnMax + 8;
/** Event records of one read beside its whole frames: pieces of large ones, and how it ended. */
constexpr size_t kRecordsPerReadMax = 6;

/** Datagrams of one recvmmsg and one sendmmsg. */
constexpr size_t kDatagramsPerCall = 64;
/** What the length field of UDP can say. */
constexpr size_t kDatagramBytesLimit = 65535;
/** Datagrams that may wait on one socket, whatever their size: empty ones cost memory too. */
constexpr size_t kWaitingDatagramsMax = 16 * 1024;

}  // namespace reactor_net
