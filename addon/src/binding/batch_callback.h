// The call of onBatch from the loop into JavaScript: exceptions, the ticks a batch leaves behind, an ending thread.
// Transport and Datagrams have one each and hand it every batch.
#pragma once

#include <napi.h>

#include <functional>

namespace reactor_net {

class BatchCallback {
 public:
  using BeforeTicks = std::function<bool()>;

  explicit BatchCallback(napi_env env) : env_(env) {}
  BatchCallback(const BatchCallback&) = delete;
  BatchCallback& operator=(const BatchCallback&) = delete;
  ~BatchCallback();

  /** `name` is the type of async resource that hooks see. False when the thread is ending. */
  bool Open(Napi::Object self, const char* name, Napi::Function callback);
  /** No call begins after this; one that runs is not repeated. */
  void Close() { callback_.Reset(); }

  /**
   * Calls onBatch(count) until the batch is done with: what it throws becomes an uncaught exception, and it is called
   * again for the events behind. False when nobody is left to call, or it was closed meanwhile.
   * `before_ticks` runs when it has returned; if that returns true, onBatch(0) follows ahead of the ticks.
   */
  bool Hand(napi_ref self_reference, uint32_t count, const BeforeTicks& before_ticks = {});
  /** The records JavaScript left behind were impossible: an uncaught exception. */
  void RefuseRecords();

 private:
  enum class Outcome { kDone, kThrown, kGone };
  /** One call with the ticks behind it. */
  Outcome CallInScope(napi_value self, napi_value callback, uint32_t count, const BeforeTicks& before_ticks);
  Outcome Call(napi_value self, napi_value callback, uint32_t count);

  const napi_env env_;
  napi_async_context context_ = nullptr;
  Napi::FunctionReference callback_;
};

}  // namespace reactor_net
