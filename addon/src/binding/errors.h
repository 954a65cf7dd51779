// Throws AddonError into JavaScript: a failed system call, or an argument that cannot be right.
// The class comes from addon/errors.ts through useErrorClass; until then a plain Error carries the same fields.
#pragma once

#include <napi.h>

#include <string>

#include "core/result.h"

namespace reactor_net {

/** ADDON_SYSTEM_CALL_FAILED with errno and syscall; `subject` says on what, for the message. */
void ThrowFailure(Napi::Env env, const Failure& failure, const std::string& subject);

/** ADDON_INVALID_ARGUMENT; `what` completes "argument …". */
void ThrowInvalidArgument(Napi::Env env, const std::string& what);

/** Any other code of addon/errors.ts. */
void ThrowCode(Napi::Env env, const char* code, const std::string& message);

/** Takes the class that the functions above instantiate. */
Napi::Value UseErrorClass(const Napi::CallbackInfo& info);

}  // namespace reactor_net
