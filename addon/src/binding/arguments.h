// Reads and checks what JavaScript passed.
// The first mistake throws ADDON_INVALID_ARGUMENT naming the argument; later reads then return zeros,
// so a function reads everything, asks failed() once, and only then makes its system call.
#pragma once

#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

namespace reactor_net {

class Arguments {
 public:
  explicit Arguments(const Napi::CallbackInfo& info) : info_(info), env_(info.Env()) {}

  bool failed() const { return failed_; }

  /** A file descriptor number, 0 to 2^31 - 1. */
  int Descriptor(size_t index);
  int64_t Integer(size_t index, const char* name, int64_t least, int64_t most);
  std::string Text(size_t index, const char* name);
  std::vector<int> Integers(size_t index, const char* name, int least, int most);
  Napi::Object Options(size_t index);

  /** Fields of an options object; undefined means `fallback`, and there is none for a required one. */
  std::string RequiredText(Napi::Object options, const char* name);
  int RequiredInteger(Napi::Object options, const char* name, int least, int most);
  int OptionalInteger(Napi::Object options, const char* name, int least, int most, int fallback);
  bool OptionalFlag(Napi::Object options, const char* name, bool fallback);

 private:
  void Reject(const std::string& what);
  Napi::Value Field(Napi::Object options, const char* name);
  int64_t ToInteger(Napi::Value value, const char* name, int64_t least, int64_t most);
  std::string ToText(Napi::Value value, const char* name);

  const Napi::CallbackInfo& info_;
  Napi::Env env_;
  bool failed_ = false;
};

}  // namespace reactor_net
