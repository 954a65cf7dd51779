#include "binding/shm_ring_open.h"

#include <string>
#include <utility>

#include "binding/errors.h"

namespace reactor_net {
namespace {

const uint8_t kNothing = 0;

/** False, with the error thrown, unless the value is a typed array of this type. */
bool ReadTypedArray(Napi::Env env, Napi::Value value, napi_typedarray_type wanted, const char* what, void** data,
                    size_t* length) {
  napi_typedarray_type found = napi_int8_array;
  if (napi_get_typedarray_info(env, value, &found, length, data, nullptr, nullptr) == napi_ok && found == wanted) {
    return true;
  }
  ThrowInvalidArgument(env, what);
  return false;
}

}  // namespace

OpenedSide OpenSide(Napi::Env env, int id, jbus::Side side) {
  OpenedSide opened;
  Result<std::shared_ptr<jbus::Attachment>> attachment = jbus::Attachment::Of(id);
  if (!attachment.ok()) {
    ThrowFailure(env, attachment.failure(), "segment " + std::to_string(id));
    return opened;
  }
  jbus::HeaderFault fault = jbus::HeaderFault::kMagic;
  if (attachment.value()->bytes() >= jbus::kDataOffset) {
    const jbus::HeaderFacts facts = jbus::ReadHeader(attachment.value()->memory());
    fault = jbus::JudgeHeader(facts, attachment.value()->bytes());
    opened.capacity = facts.identity.capacity;
    opened.flags = facts.identity.flags;
  }
  opened.status = static_cast<uint32_t>(fault);
  if (fault != jbus::HeaderFault::kNone) return opened;
  opened.claim = jbus::SideClaim::Take(attachment.value(), side);
  if (opened.claim == nullptr) opened.status = kSideTaken;
  return opened;
}

ArrayView<const uint8_t> ReadBytes(Napi::Env env, Napi::Value value, const char* what) {
  void* data = nullptr;
  ArrayView<const uint8_t> view;
  if (!ReadTypedArray(env, value, napi_uint8_array, what, &data, &view.length)) return {};
  view.data = data == nullptr ? &kNothing : static_cast<const uint8_t*>(data);  // an empty one may have no memory
  return view;
}

ArrayView<uint32_t> ReadWords(Napi::Env env, Napi::Value value, const char* what) {
  void* data = nullptr;
  ArrayView<uint32_t> view;
  if (!ReadTypedArray(env, value, napi_uint32_array, what, &data, &view.length)) return {};
  view.data = static_cast<uint32_t*>(data);
  return view;
}

}  // namespace reactor_net
