// One thread's sockets: reads what is ready into one slab, cuts it into frames, describes the batch in a table,
// and writes what the batch was answered with. Never blocks, never calls back, knows nothing of Node.
// binding/transport_poll.cc drives it: BeginTurn, then rounds of Poll (events in the table) and Flush (output).
// engine_accept.cc, _connect.cc, _read.cc, _write.cc and _file.cc hold what their names say, engine.cc the
// life of a socket and the epoll masks: an unwanted EPOLLIN stays armed until it fires, so that pausing and resuming
// between two arrivals costs no system call; what is newly wanted is armed at the end of the flush.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/socket_address.h"
#include "transport/epoll_set.h"
#include "transport/event_table.h"
#include "transport/framing.h"
#include "transport/slot_table.h"

namespace reactor_net {

/** Bounds of the memory below: what one poll of an empty batch may need at least. */
constexpr size_t kReceiveSlabBytesMin = 256 * 1024;
constexpr size_t kEventRecordsMin = 256;
constexpr size_t kSendRecordWords = 3;
constexpr size_t kStatusWords = 4;

/** Belongs to the caller, who keeps it in place until the engine is closed. */
struct EngineMemory {
  uint8_t* receive;
  size_t receive_bytes;
  uint32_t* events;
  size_t event_records;
  const uint8_t* send;
  size_t send_bytes;
  const uint32_t* sends;  // records {slot, offset, bytes}
  size_t send_records;
  uint32_t* status;  // per slot {bytes of waiting output, SlotFlag…, files waiting, bytes of files sent modulo 2^32}
  size_t slots_max;
};

/** Second word of a slot's status. */
enum SlotFlag : uint32_t { kSlotOpen = 1, kSlotConnecting = 2, kSlotFinSent = 4 };

struct EngineStats {
  uint64_t epoll_waits = 0;
  uint64_t epoll_controls = 0;
  uint64_t receives = 0;
  uint64_t sends = 0;
  uint64_t accepts = 0;
  uint64_t batches = 0;  // polls that found something
  uint64_t frames = 0;
  uint64_t bytes_received = 0;
  uint64_t bytes_sent = 0;
};

class Engine {
 public:
  /** `output_bytes_max`: output that may wait on one connection; beyond it the connection fails with ENOBUFS. */
  static Result<std::unique_ptr<Engine>> Create(const EngineMemory& memory, size_t output_bytes_max);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine() { CloseAll(); }

  /** Readable when Poll has something to do. */
  int fd() const { return epoll_->fd(); }

  /** Framing 0 is raw bytes. EMFILE when there are 65535. */
  Result<uint32_t> AddFraming(const Framing& framing);
  bool HasFraming(uint32_t framing) const { return framing < framings_.size(); }

  /** Takes over a connected socket; the caller keeps it on failure. Nothing is read before Resume. */
  Result<uint32_t> Add(int fd, uint32_t framing);
  /** Starts connecting to a numeric address; kConnected or kClosed follows. */
  Result<uint32_t> ConnectTcp(const std::string& host, int port, uint32_t framing);
  /** Starts connecting to a Unix path. */
  Result<uint32_t> ConnectUnix(const std::string& path, uint32_t framing);
  /**
   * Takes over a listening, non-blocking socket; connections it accepts have `framing`. When it is watched elsewhere,
   * MarkReady tells that the next poll has something to accept.
   */
  Result<uint32_t> Listen(int fd, bool watched_elsewhere, uint32_t framing);
  void MarkReady(uint32_t number) { ready_listeners_.push_back(number); }
  bool IsAccepting(uint32_t number);

  // Numbers that are not in use are ignored by everything below: the peer may have been faster.
  void Pause(uint32_t number);
  /** Also for listeners. */
  void Resume(uint32_t number);
  /** Sends FIN once the output of the next flush, and all before it, is gone. */
  void Shutdown(uint32_t number);
  /** Closes at once, output that waits is dropped; `reset` sends RST. Also for listeners. */
  void Close(uint32_t number, bool reset);
  /** Gives the descriptor back to the caller, unwatched; -1 when not in use. Waiting output is dropped. */
  int Release(uint32_t number);
  /** The descriptor, still ours; -1 when not in use. */
  int DescriptorOf(uint32_t number);

  /** Budgets per connection start again: a new turn of the loop, or a long one goes on. */
  void BeginTurn() { turn_++; }
  /** Starts a batch over the former one and returns its records; call again while that is not 0. */
  size_t Poll();
  /** Sends `count` records in order; the send slab is free again. False, with nothing sent, if one is impossible. */
  bool Flush(size_t count) { return FlushBefore(kNone, count); }
  /** The same, while more output of connection `number` follows at once: one segment for both, where it fits. */
  bool FlushBefore(uint32_t number, size_t count);
  /** Times that output had to wait or a connection failed: it stands still over a flush that sent everything. */
  uint64_t setbacks() const { return setbacks_; }

  /** Sends bytes that lie elsewhere at once, behind everything flushed before; what has to wait is copied. */
  void Send(uint32_t number, const uint8_t* bytes, size_t count);

  /**
   * Sends a range of a regular file behind everything flushed before; `file.fd` is ours from here on, and closed when
   * the range was sent or the connection ends. A file that turns out shorter, or cannot be read, resets the connection
   * and is reported by kFileFailed. The process must ignore SIGPIPE, as Node does: sendfile cannot be told to.
   */
  void SendFile(uint32_t number, const FileRange& file);

  /** Closes every descriptor; the shared memory is not touched any more. */
  void CloseAll();

  EngineStats stats() const;

 private:
  class BatchSink;

  Engine(const EngineMemory& memory, size_t output_bytes_max, std::unique_ptr<EpollSet> epoll);

  // engine.cc
  Result<uint32_t> Enter(int fd, Slot::State state, uint32_t framing);
  /** Whether another socket may be looked at within this batch. */
  bool HasRoom() const;
  void Dispatch(uint32_t number, Slot& slot, uint32_t events);
  /** Ends a connection on an error: closes, and tells JavaScript now or in the next batch. */
  void Fail(uint32_t number, Slot& slot, int error) { End(number, slot, EventType::kClosed, error, false); }
  void End(uint32_t number, Slot& slot, EventType type, int error, bool reset);
  void CloseSocket(Slot& slot, bool reset);
  /** Tells what happened outside Poll in the next batch. */
  void ReportLater(uint32_t number, EventType type, uint32_t value);
  void EmitReports();
  uint32_t WantedMask(const Slot& slot) const;
  /** Has the mask looked at before the loop sleeps. */
  void Unsettle(uint32_t number, Slot& slot);
  void Settle();
  /** Makes the mask what is wanted. */
  void Watch(uint32_t number, Slot& slot);
  void ShowStatus(uint32_t number, const Slot& slot);

  // engine_accept.cc
  void AcceptFromReady();
  void Accept(uint32_t number, Slot& listener);

  // engine_connect.cc
  Result<uint32_t> StartConnect(const SocketAddress& address, uint32_t framing);
  void FinishConnect(uint32_t number, Slot& slot);

  // engine_read.cc
  void Read(uint32_t number, Slot& slot, uint32_t events);
  /** Adds to the partial frame; false when the connection failed for want of memory. */
  bool Keep(uint32_t number, Slot& slot, const uint8_t* bytes, size_t count);
  void EndReading(uint32_t number, Slot& slot);

  // engine_write.cc
  bool AreSound(size_t count) const;
  /** Chains the records of each slot and lists the slots. */
  void LinkRecords(size_t count);
  void SendRecords(uint32_t number, Slot& slot);
  /** Writes `vectors_`; false when not all of it went, and the rest and the chain behind it were queued. */
  bool Offer(uint32_t number, Slot& slot, int vector_count, uint32_t record);
  /** Fills `vectors_` from the chain at `*record`, which moves on; returns how many. */
  int GatherRecords(uint32_t* record);
  /** Puts what `vectors_` hold beyond `sent` bytes, and the rest of the chain, into the slot's queue. */
  void QueueRest(uint32_t number, Slot& slot, size_t sent, int vector_count, uint32_t record);
  void Drain(uint32_t number, Slot& slot);
  /** Offers the queue's items in order until the kernel has enough. False when the connection failed. */
  bool PushQueue(uint32_t number, Slot& slot);
  void FinishShutdown(uint32_t number, Slot& slot);
  /** Bytes the kernel took of `vectors_`; -1 with errno. */
  ssize_t SendVectors(int fd, int vector_count, int flags);

  // engine_file.cc
  /** Whether what comes next in the queue may be tried: kMore. */
  enum class FileStep { kMore, kEnough, kFailed };
  FileStep PushFile(uint32_t number, Slot& slot, const FileRange& file);

  struct Report {
    uint32_t number;
    uint32_t generation;
    EventType type;
    uint32_t value;
  };

  const EngineMemory memory_;
  const size_t output_bytes_max_;
  const std::unique_ptr<EpollSet> epoll_;
  SlotTable slots_;
  EventTable events_;
  std::vector<Framing> framings_;
  bool closed_ = false;
  bool polling_ = false;
  bool in_batch_ = false;  // from a poll that found something to the flush that answers it
  size_t cursor_ = 0;  // first free byte of the receive slab
  uint32_t turn_ = 0;
  std::vector<Report> reports_;
  std::vector<uint32_t> ready_listeners_;
  std::vector<uint32_t> unsettled_;
  std::vector<uint32_t> shutdowns_;       // asked for since the last flush
  std::vector<uint32_t> touched_;         // slots of the running flush
  std::vector<uint32_t> next_record_;     // per record: the next one of the same slot
  uint32_t more_follows_ = kNone;  // the connection whose records of the running flush are not its last output
  std::unique_ptr<iovec[]> vectors_;
  EngineStats stats_;
  uint64_t setbacks_ = 0;
};

}  // namespace reactor_net
