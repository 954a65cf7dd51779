// The outcome of a system call: a value, or which call failed and with what errno.
// Everything in core/ returns these; binding/errors.cc turns a Failure into a thrown AddonError.
// Knows nothing of Node, so the C++ tests link core/ alone.
#pragma once

#include <cerrno>
#include <utility>
#include <variant>

namespace reactor_net {

/** A failed system call; converts to true when there was a failure. `syscall` is a literal. */
struct [[nodiscard]] Failure {
  int error = 0;
  const char* syscall = "";

  explicit operator bool() const { return error != 0; }

  static Failure None() { return {}; }
  /** Call at once after the system call, before anything else can change errno. */
  static Failure Last(const char* syscall) { return {errno, syscall}; }
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
  Result(Failure failure) : content_(std::in_place_index<1>, failure) {}

  bool ok() const { return content_.index() == 0; }
  T& value() { return std::get<0>(content_); }
  const Failure& failure() const { return std::get<1>(content_); }

 private:
  std::variant<T, Failure> content_;
};

}  // namespace reactor_net
