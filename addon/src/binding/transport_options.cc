#include "binding/transport_options.h"

#include <limits>
#include <string>

#include "binding/array_reader.h"
#include "binding/errors.h"
#include "binding/transport_poll.h"
#include "transport/limits.h"

namespace reactor_net {
namespace {

constexpr int kIntMax = std::numeric_limits<int>::max();

HeaderField ReadMsgIdField(Arguments& arguments, Napi::Object options, bool big_endian) {
  HeaderField field;
  field.bytes = static_cast<uint32_t>(arguments.OptionalInteger(options, "msgIdBytes", 0, 4, 0));
  field.offset = static_cast<uint32_t>(arguments.OptionalInteger(options, "msgIdOffset", 0, kHeaderBytesLimit, 0));
  field.big_endian = arguments.OptionalFlag(options, "msgIdBigEndian", big_endian);
  return field;
}

}  // namespace

TransportOptions ReadTransportOptions(Napi::Env env, Arguments& arguments, Napi::Object options) {
  TransportOptions result;
  result.output_bytes_max = static_cast<size_t>(arguments.RequiredInteger(options, "outputBytesMax", 1, kIntMax));
  if (arguments.failed()) return result;
  const Napi::Value async_resource = options.Get("asyncResource");
  if (env.IsExceptionPending()) return result;
  if (async_resource.IsObject()) {
    result.async_resource = async_resource.As<Napi::Object>();
  } else if (!async_resource.IsUndefined()) {
    ThrowInvalidArgument(env, "asyncResource must be an object");
    return result;
  }
  ArrayReader reader(env, options, result.arrays);
  EngineMemory& memory = result.memory;
  size_t words = 0;
  memory.receive = reader.Bytes("receiveSlab", kReceiveSlabBytesMin, &memory.receive_bytes);
  memory.events = reader.Words("events", kEventRecordsMin * EventTable::kRecordWords, &words);
  memory.event_records = words / EventTable::kRecordWords;
  memory.send = reader.Bytes("sendSlab", 1, &memory.send_bytes);
  memory.sends = reader.Words("sends", kSendRecordWords, &words);
  memory.send_records = words / kSendRecordWords;
  memory.status = reader.Words("status", kStatusWords, &words);
  memory.slots_max = words / kStatusWords;
  result.control = reader.Words("control", kControlWords, &words);
  return result;
}

Framing ReadFramingOptions(Napi::Env env, Arguments& arguments, Napi::Object options) {
  const auto integer = [&](const char* name, int most, int fallback) {
    return static_cast<uint32_t>(arguments.OptionalInteger(options, name, 0, most, fallback));
  };
  const int frame_bytes_max = arguments.RequiredInteger(options, "frameBytesMax", 1, kFrameBytesLimit);
  HeaderField length;
  length.bytes = integer("lengthBytes", 8, 0);
  length.offset = integer("lengthOffset", kHeaderBytesLimit, 0);
  length.big_endian = arguments.OptionalFlag(options, "bigEndian", false);
  const HeaderField msg_id = ReadMsgIdField(arguments, options, length.big_endian);
  const int adjustment =
      arguments.OptionalInteger(options, "lengthAdjustment", -kLengthAdjustmentLimit, kLengthAdjustmentLimit, 0);
  const uint32_t strip_bytes = integer("stripBytes", kHeaderBytesLimit, 0);
  if (arguments.failed()) return {};
  if (length.bytes == 0) return Framing::Tlv(static_cast<uint32_t>(frame_bytes_max));
  if (length.bytes > 4 && length.bytes != 8) {
    ThrowInvalidArgument(env, "lengthBytes must be 1, 2, 3, 4 or 8");
  } else if (msg_id.bytes == 3) {
    ThrowInvalidArgument(env, "msgIdBytes must be 0, 1, 2 or 4");
  }
  return Framing::LengthField(length, msg_id, adjustment, strip_bytes, static_cast<uint32_t>(frame_bytes_max));
}

}  // namespace reactor_net
