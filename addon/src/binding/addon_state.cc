#include "binding/addon_state.h"

#include <vector>

namespace reactor_net {

AddonState* AddonState::Install(Napi::Env env) {
  auto* state = new AddonState();
  // The finalizer runs after the cleanup hook was removed: the hook holds the environment until then.
  env.SetInstanceData<AddonState>(state);
  if (napi_get_uv_event_loop(env, &state->loop_) == napi_ok &&
      napi_add_async_cleanup_hook(env, OnCleanup, state, &state->hook_) == napi_ok) {
    return state;
  }
  Napi::Error::New(env, "reactor_net: this environment is ending").ThrowAsJavaScriptException();
  return nullptr;
}

void AddonState::Leave(LoopResource* resource) {
  open_.erase(resource);
  FinishWhenEmpty();
}

void AddonState::OnCleanup(napi_async_cleanup_hook_handle, void* data) {
  auto* state = static_cast<AddonState*>(data);
  state->closing_ = true;
  // A copy: a resource may leave while we walk.
  const std::vector<LoopResource*> open(state->open_.begin(), state->open_.end());
  for (LoopResource* resource : open) resource->BeginClose();
  state->FinishWhenEmpty();
}

void AddonState::FinishWhenEmpty() {
  if (!closing_ || !open_.empty() || hook_ == nullptr) return;
  napi_remove_async_cleanup_hook(std::exchange(hook_, nullptr));
}

}  // namespace reactor_net
