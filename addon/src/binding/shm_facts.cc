#include "binding/shm_facts.h"

namespace reactor_net {
namespace {

/** Exact up to 2^53, and for positions, multiples of 8, up to 2^56. */
double Number(uint64_t value) { return static_cast<double>(value); }

}  // namespace

Napi::Object StatusToJs(Napi::Env env, const jbus::SegmentStatus& status) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("id", status.id);
  result.Set("key", status.key);
  result.Set("bytes", Number(status.bytes));
  result.Set("attachCount", status.attach_count);
  result.Set("uid", status.uid);
  result.Set("mode", status.mode);
  result.Set("removed", status.removed);
  result.Set("creatorPid", status.creator_pid);
  result.Set("lastPid", status.last_pid);
  result.Set("changedAtMs", static_cast<double>(status.changed_at_s) * 1000);
  return result;
}

Napi::Object SideToJs(Napi::Env env, const jbus::SideFacts& side) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("pid", side.process.pid);
  result.Set("startTime", Number(side.process.start_time));
  result.Set("alive", jbus::IsAlive(side.process));
  result.Set("heartbeatCount", side.heartbeat_count);
  result.Set("heartbeatMs", Number(side.heartbeat_ms));
  result.Set("position", Number(side.position));
  result.Set("records", Number(side.records));
  result.Set("bytes", Number(side.bytes));
  result.Set("waiting", side.waiting);
  return result;
}

Napi::Object HeaderToJs(Napi::Env env, const jbus::HeaderFacts& facts) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("isOurs", facts.magic == jbus::kSegmentMagic);
  result.Set("isEmpty", facts.magic == 0);
  result.Set("version", facts.version);
  result.Set("capacity", Number(facts.identity.capacity));
  result.Set("flags", facts.identity.flags);
  result.Set("state", facts.state);
  result.Set("epoch", Number(facts.identity.epoch));
  result.Set("channelHash", Number(facts.identity.channel_hash));
  result.Set("creatorPid", facts.creator.pid);
  result.Set("creatorAlive", jbus::IsAlive(facts.creator));
  result.Set("producer", SideToJs(env, facts.producer));
  result.Set("consumer", SideToJs(env, facts.consumer));
  return result;
}

}  // namespace reactor_net
