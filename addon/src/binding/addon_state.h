// What one environment (the main thread or one worker) keeps: the error class, its uv loop, open loop resources.
// Created by module.cc as instance data; there are no statics, so a thousand workers do not meet here.
// When the environment ends, an async cleanup hook closes every resource and waits for its last uv callback.
#pragma once

#include <napi.h>
#include <uv.h>

#include <unordered_set>

namespace reactor_net {

/** Something with uv handles on the loop. It frees itself after its last close callback, having called Leave. */
class LoopResource {
 public:
  /** Starts closing; called at most once more after the owner already did, and must bear it. */
  virtual void BeginClose() = 0;

 protected:
  ~LoopResource() = default;
};

class AddonState {
 public:
  /** Null (with a JavaScript exception pending) when the environment is already going down. */
  static AddonState* Install(Napi::Env env);
  static AddonState* Of(Napi::Env env) { return env.GetInstanceData<AddonState>(); }

  AddonState(const AddonState&) = delete;
  AddonState& operator=(const AddonState&) = delete;

  uv_loop_t* loop() const { return loop_; }
  bool closing() const { return closing_; }
  Napi::FunctionReference& error_class() { return error_class_; }

  void Enter(LoopResource* resource) { open_.insert(resource); }
  void Leave(LoopResource* resource);

 private:
  AddonState() = default;
  static void OnCleanup(napi_async_cleanup_hook_handle handle, void* data);
  void FinishWhenEmpty();

  uv_loop_t* loop_ = nullptr;
  bool closing_ = false;
  napi_async_cleanup_hook_handle hook_ = nullptr;
  std::unordered_set<LoopResource*> open_;
  Napi::FunctionReference error_class_;
};

}  // namespace reactor_net
