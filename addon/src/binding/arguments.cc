#include "binding/arguments.h"

#include <cmath>
#include <limits>

#include "binding/errors.h"

namespace reactor_net {

int Arguments::Descriptor(size_t index) {
  return static_cast<int>(Integer(index, "fd", 0, std::numeric_limits<int>::max()));
}

int64_t Arguments::Integer(size_t index, const char* name, int64_t least, int64_t most) {
  return ToInteger(info_[index], name, least, most);
}

std::string Arguments::Text(size_t index, const char* name) { return ToText(info_[index], name); }

std::vector<int> Arguments::Integers(size_t index, const char* name, int least, int most) {
  std::vector<int> numbers;
  if (failed_) return numbers;
  if (!info_[index].IsArray()) {
    Reject(std::string(name) + " must be an array of integers");
    return numbers;
  }
  const Napi::Array array = info_[index].As<Napi::Array>();
  const uint32_t count = array.Length();
  for (uint32_t i = 0; i < count && !failed_; i++) {
    const Napi::Value element = array.Get(i);
    if (env_.IsExceptionPending()) {
      failed_ = true;
    } else {
      numbers.push_back(static_cast<int>(ToInteger(element, name, least, most)));
    }
  }
  return numbers;
}

Napi::Object Arguments::Options(size_t index) {
  if (!failed_ && info_[index].IsObject()) return info_[index].As<Napi::Object>();
  Reject("options must be an object");
  return Napi::Object();
}

std::string Arguments::RequiredText(Napi::Object options, const char* name) {
  return ToText(Field(options, name), name);
}

int Arguments::RequiredInteger(Napi::Object options, const char* name, int least, int most) {
  return static_cast<int>(ToInteger(Field(options, name), name, least, most));
}

int Arguments::OptionalInteger(Napi::Object options, const char* name, int least, int most, int fallback) {
  const Napi::Value value = Field(options, name);
  if (failed_ || value.IsUndefined()) return fallback;
  return static_cast<int>(ToInteger(value, name, least, most));
}

bool Arguments::OptionalFlag(Napi::Object options, const char* name, bool fallback) {
  const Napi::Value value = Field(options, name);
  if (failed_ || value.IsUndefined()) return fallback;
  if (value.IsBoolean()) return value.As<Napi::Boolean>().Value();
  Reject(std::string(name) + " must be true or false");
  return fallback;
}

void Arguments::Reject(const std::string& what) {
  if (!failed_) ThrowInvalidArgument(env_, what);
  failed_ = true;
}

/** Empty after a failure; a getter on the options object may throw, and its exception then stands. */
Napi::Value Arguments::Field(Napi::Object options, const char* name) {
  if (failed_) return Napi::Value();
  const Napi::Value value = options.Get(name);
  if (env_.IsExceptionPending()) failed_ = true;
  return value;
}

int64_t Arguments::ToInteger(Napi::Value value, const char* name, int64_t least, int64_t most) {
  if (failed_) return 0;
  if (value.IsNumber()) {
    const double number = value.As<Napi::Number>().DoubleValue();
    if (std::trunc(number) == number && number >= static_cast<double>(least) &&
        number <= static_cast<double>(most)) {
      return static_cast<int64_t>(number);
    }
  }
  Reject(std::string(name) + " must be an integer from " + std::to_string(least) + " to " + std::to_string(most));
  return 0;
}

std::string Arguments::ToText(Napi::Value value, const char* name) {
  if (failed_) return "";
  if (value.IsString()) return value.As<Napi::String>().Utf8Value();
  Reject(std::string(name) + " must be a string");
  return "";
}

}  // namespace reactor_net
