#include "binding/batch_callback.h"

namespace reactor_net {

// Raw Node-API throughout: in a worker that is being terminated every call may fail, and the C++ wrapper would
// answer that by ending the process. A failed status means nobody is left to call.

BatchCallback::~BatchCallback() {
  if (context_ != nullptr) napi_async_destroy(env_, context_);
}

bool BatchCallback::Open(Napi::Object self, const char* name, Napi::Function callback) {
  const Napi::String resource = Napi::String::New(env_, name);
  if (napi_async_init(env_, self, resource, &context_) != napi_ok) return false;
  callback_ = Napi::Persistent(callback);
  return true;
}

bool BatchCallback::Hand(napi_ref self_reference, uint32_t count, const BeforeTicks& before_ticks) {
  napi_handle_scope scope;
  if (napi_open_handle_scope(env_, &scope) != napi_ok) return false;
  napi_value self = nullptr;
  napi_value callback = nullptr;
  Outcome outcome = Outcome::kGone;
  if (napi_get_reference_value(env_, self_reference, &self) == napi_ok &&
      napi_get_reference_value(env_, callback_, &callback) == napi_ok && callback != nullptr) {
    // What throws has taken at least one event off the batch: each further call is for the events behind it.
    uint32_t calls_left = count + 1;
    do {
      outcome = CallInScope(self, callback, count, before_ticks);
    } while (outcome == Outcome::kThrown && !callback_.IsEmpty() && --calls_left > 0);
  }
  napi_close_handle_scope(env_, scope);
  return outcome != Outcome::kGone && !callback_.IsEmpty();
}

BatchCallback::Outcome BatchCallback::CallInScope(napi_value self, napi_value callback, uint32_t count,
                                                  const BeforeTicks& before_ticks) {
  napi_callback_scope scope = nullptr;
  if (napi_open_callback_scope(env_, self, context_, &scope) != napi_ok) return Outcome::kGone;
  Outcome outcome = Call(self, callback, count);
  // The batch is done with: what the second call throws is no reason to repeat it.
  if (outcome == Outcome::kDone && before_ticks && before_ticks() && Call(self, callback, 0) == Outcome::kGone) {
    outcome = Outcome::kGone;
  }
  // Runs the ticks and promises that the batch left behind.
  return napi_close_callback_scope(env_, scope) == napi_ok ? outcome : Outcome::kGone;
}

BatchCallback::Outcome BatchCallback::Call(napi_value self, napi_value callback, uint32_t count) {
  napi_value number = nullptr;
  if (napi_create_uint32(env_, count, &number) != napi_ok) return Outcome::kGone;
  const napi_status status = napi_call_function(env_, self, callback, 1, &number, nullptr);
  if (status == napi_ok) return Outcome::kDone;
  if (status != napi_pending_exception) return Outcome::kGone;
  napi_value error = nullptr;
  // Becomes 'uncaughtException'. Refused without harm when the thread is ending.
  if (napi_get_and_clear_last_exception(env_, &error) != napi_ok || napi_fatal_exception(env_, error) != napi_ok) {
    return Outcome::kGone;
  }
  return Outcome::kThrown;
}

void BatchCallback::RefuseRecords() {
  napi_handle_scope scope;
  if (napi_open_handle_scope(env_, &scope) != napi_ok) return;
  napi_value code = nullptr;
  napi_value message = nullptr;
  napi_value error = nullptr;
  if (napi_create_string_utf8(env_, "ADDON_INVALID_ARGUMENT", NAPI_AUTO_LENGTH, &code) == napi_ok &&
      napi_create_string_utf8(env_, "records must be within the slabs", NAPI_AUTO_LENGTH, &message) == napi_ok &&
      napi_create_error(env_, code, message, &error) == napi_ok) {
    napi_fatal_exception(env_, error);
  }
  napi_close_handle_scope(env_, scope);
}

}  // namespace reactor_net
