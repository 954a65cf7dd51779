#include "binding/thread_functions.h"

#include <sys/resource.h>

#include <limits>
#include <string>

#include "binding/arguments.h"
#include "binding/errors.h"
#include "core/thread_info.h"

namespace reactor_net {
namespace {

const char* const kSubject = "this thread";

Napi::Value ThreadIdFunction(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), ThreadId()); }

Napi::Value SetThreadNameFunction(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::string name = arguments.Text(0, "name");
  if (arguments.failed()) return info.Env().Undefined();
  if (Failure failure = SetThreadName(name)) ThrowFailure(info.Env(), failure, kSubject);
  return info.Env().Undefined();
}

Napi::Value SetThreadAffinityFunction(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::vector<int> cpus = arguments.Integers(0, "cpus", 0, CpuCountMax() - 1);
  if (arguments.failed()) return info.Env().Undefined();
  if (Failure failure = SetThreadAffinity(cpus)) ThrowFailure(info.Env(), failure, kSubject);
  return info.Env().Undefined();
}

Napi::Value ThreadAffinityFunction(const Napi::CallbackInfo& info) {
  Result<std::vector<int>> cpus = ThreadAffinity();
  if (!cpus.ok()) {
    ThrowFailure(info.Env(), cpus.failure(), kSubject);
    return info.Env().Undefined();
  }
  Napi::Array result = Napi::Array::New(info.Env(), cpus.value().size());
  uint32_t index = 0;
  for (const int cpu : cpus.value()) result.Set(index++, cpu);
  return result;
}

Napi::Value SetBatchSchedulingFunction(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const int64_t id = arguments.Integer(0, "id", 1, std::numeric_limits<int32_t>::max());
  if (arguments.failed()) return info.Env().Undefined();
  if (Failure failure = SetBatchScheduling(static_cast<pid_t>(id)))
    ThrowFailure(info.Env(), failure, "thread " + std::to_string(id));
  return info.Env().Undefined();
}

Napi::Value ThreadCpuMicrosFunction(const Napi::CallbackInfo& info) {
  Result<CpuTime> time = ThreadCpuTime();
  if (!time.ok()) {
    ThrowFailure(info.Env(), time.failure(), kSubject);
    return info.Env().Undefined();
  }
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("user", static_cast<double>(time.value().user_us));
  result.Set("system", static_cast<double>(time.value().system_us));
  return result;
}

double LimitToJs(uint64_t limit) {
  return limit == RLIM_INFINITY ? std::numeric_limits<double>::infinity() : static_cast<double>(limit);
}

Napi::Value DescriptorLimitFunction(const Napi::CallbackInfo& info) {
  Result<DescriptorLimit> limit = ReadDescriptorLimit();
  if (!limit.ok()) {
    ThrowFailure(info.Env(), limit.failure(), "open files");
    return info.Env().Undefined();
  }
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("soft", LimitToJs(limit.value().soft));
  result.Set("hard", LimitToJs(limit.value().hard));
  return result;
}

}  // namespace

void ExportThreadFunctions(Napi::Env env, Napi::Object exports) {
  exports.Set("threadId", Napi::Function::New<ThreadIdFunction>(env, "threadId"));
  exports.Set("setThreadName", Napi::Function::New<SetThreadNameFunction>(env, "setThreadName"));
  exports.Set("setThreadAffinity", Napi::Function::New<SetThreadAffinityFunction>(env, "setThreadAffinity"));
  exports.Set("threadAffinity", Napi::Function::New<ThreadAffinityFunction>(env, "threadAffinity"));
  exports.Set("setBatchScheduling", Napi::Function::New<SetBatchSchedulingFunction>(env, "setBatchScheduling"));
  exports.Set("threadCpuMicros", Napi::Function::New<ThreadCpuMicrosFunction>(env, "threadCpuMicros"));
  exports.Set("descriptorLimit", Napi::Function::New<DescriptorLimitFunction>(env, "descriptorLimit"));
}

}  // namespace reactor_net
