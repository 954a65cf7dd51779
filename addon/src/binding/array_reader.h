// Reads typed arrays off an options object: memory that JavaScript and C++ share.
#pragma once

#include <napi.h>

#include <cstdint>
#include <vector>

namespace reactor_net {

/** After the first mistake, whose exception is pending, only nulls. */
class ArrayReader {
 public:
  /** Every array that is read is added to `arrays`: whoever holds them keeps the memory where it is. */
  ArrayReader(Napi::Env env, Napi::Object options, std::vector<Napi::Object>& arrays)
      : env_(env), options_(options), arrays_(arrays) {}

  uint8_t* Bytes(const char* name, size_t length_min, size_t* length) {
    return static_cast<uint8_t*>(Read(name, napi_uint8_array, "Uint8Array", length_min, length));
  }
  uint32_t* Words(const char* name, size_t length_min, size_t* length) {
    return static_cast<uint32_t*>(Read(name, napi_uint32_array, "Uint32Array", length_min, length));
  }
  /** The same words for TypeScript that compares them: small integers there, whatever they hold. */
  uint32_t* SignedWords(const char* name, size_t length_min, size_t* length) {
    return static_cast<uint32_t*>(Read(name, napi_int32_array, "Int32Array", length_min, length));
  }

 private:
  void* Read(const char* name, napi_typedarray_type type, const char* type_name, size_t length_min, size_t* length);

  Napi::Env env_;
  Napi::Object options_;
  std::vector<Napi::Object>& arrays_;
};

}  // namespace reactor_net
