#include "binding/errors.h"

#include <uv.h>

#include "binding/addon_state.h"

namespace reactor_net {
namespace {

/** new AddonError(code, message, details), or an Error with the same fields when there is no class yet. */
Napi::Value MakeError(Napi::Env env, const char* code, const std::string& message, Napi::Object details) {
  Napi::FunctionReference& error_class = AddonState::Of(env)->error_class();
  const Napi::String text = Napi::String::New(env, message);
  if (!error_class.IsEmpty()) return error_class.New({Napi::String::New(env, code), text, details});
  Napi::Object error = Napi::Error::New(env, message).Value();
  error.Set("code", code);
  if (details.Has("errno")) error.Set("errno", details.Get("errno"));
  if (details.Has("syscall")) error.Set("syscall", details.Get("syscall"));
  return error;
}

void Throw(Napi::Env env, const char* code, const std::string& message, Napi::Object details) {
  const Napi::Value error = MakeError(env, code, message, details);
  // The constructor itself may have failed, as it does in a worker that is being terminated.
  if (!env.IsExceptionPending()) napi_throw(env, error);
}

}  // namespace

void ThrowFailure(Napi::Env env, const Failure& failure, const std::string& subject) {
  const int uv_error = uv_translate_sys_error(failure.error);
  const std::string message = std::string(failure.syscall) + " " + uv_err_name(uv_error) + ": " +
                              uv_strerror(uv_error) + ", " + subject;
  Napi::Object details = Napi::Object::New(env);
  details.Set("errno", failure.error);
  details.Set("syscall", failure.syscall);
  Throw(env, "ADDON_SYSTEM_CALL_FAILED", message, details);
}

void ThrowInvalidArgument(Napi::Env env, const std::string& what) {
  ThrowCode(env, "ADDON_INVALID_ARGUMENT", "argument " + what);
}

void ThrowCode(Napi::Env env, const char* code, const std::string& message) {
  Throw(env, code, message, Napi::Object::New(env));
}

Napi::Value UseErrorClass(const Napi::CallbackInfo& info) {
  if (!info[0].IsFunction()) {
    ThrowInvalidArgument(info.Env(), "errorClass must be a class");
  } else {
    AddonState::Of(info.Env())->error_class() = Napi::Persistent(info[0].As<Napi::Function>());
  }
  return info.Env().Undefined();
}

}  // namespace reactor_net
