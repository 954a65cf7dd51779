#include "binding/array_reader.h"

#include <string>

#include "binding/errors.h"

namespace reactor_net {

void* ArrayReader::Read(const char* name, napi_typedarray_type type, const char* type_name, size_t length_min,
                        size_t* length) {
  *length = 0;
  if (env_.IsExceptionPending()) return nullptr;
  const Napi::Value value = options_.Get(name);
  if (env_.IsExceptionPending()) return nullptr;
  napi_typedarray_type found = napi_int8_array;
  void* data = nullptr;
  if (value.IsTypedArray() &&
      napi_get_typedarray_info(env_, value, &found, length, &data, nullptr, nullptr) == napi_ok && found == type &&
      *length >= length_min) {
    arrays_.push_back(value.As<Napi::Object>());
    return data;
  }
  ThrowInvalidArgument(env_, std::string(name) + " must be a " + type_name + " of at least " +
                                 std::to_string(length_min) + " elements");
  return nullptr;
}

}  // namespace reactor_net
