// Parses `--name value` pairs; every number has a range, so that no run is without bounds.

#include "options.h"

#include <cstdlib>
#include <cstring>

namespace {

const char kUsage[] =
    "tlv-load --port P [--host ADDRESS] [--mode closed|rate|churn|idle|fetch|udp]\n"
    "  --connections N  connections over all threads (40)\n"
    "  --depth N        requests in flight per connection (1)\n"
    "  --payload BYTES  body of every request, of every reply in mode fetch (64)\n"
    "  --msg-id N       message id that the server echoes (1)\n"
    "  --threads N      client threads (1)\n"
    "  --rate R         requests per second, mode rate; latency counts from the intended send time\n"
    "  --visits N       connections to be made within the duration, mode churn; 0 (default): no end but that\n"
    "  --warmup S --duration S          seconds before, and of, measurement (0.2, 1)\n"
    "  --connect-timeout S --stall-timeout S --hold-timeout S   deadlines (10, 5, 120)\n"
    "  --gate           print a line when connected, start at a line on standard input,\n"
    "                   keep the connections after the result until standard input ends\n";

bool parse_number(const char* text, double low, double high, double& value) {
  char* end = nullptr;
  const double parsed = strtod(text, &end);
  if (end == text || *end != '\0' || !(parsed >= low && parsed <= high)) return false;
  value = parsed;
  return true;
}

struct NumberFlag {
  const char* name;
  double low;
  double high;
  void (*set)(Options& options, double value);
};

const NumberFlag kNumberFlags[] = {
    {"--port", 1, 65535, [](Options& o, double v) { o.port = static_cast<uint16_t>(v); }},
    {"--connections", 1, 60000, [](Options& o, double v) { o.connections = static_cast<int>(v); }},
    {"--depth", 1, 4096, [](Options& o, double v) { o.depth = static_cast<int>(v); }},
    {"--payload", 0, 16 << 20, [](Options& o, double v) { o.payload_bytes = static_cast<uint32_t>(v); }},
    {"--msg-id", 0, UINT32_MAX, [](Options& o, double v) { o.msg_id = static_cast<uint32_t>(v); }},
    {"--threads", 1, 64, [](Options& o, double v) { o.threads = static_cast<int>(v); }},
    {"--rate", 0.1, 1e8, [](Options& o, double v) { o.rate = v; }},
    {"--visits", 0, 1e9, [](Options& o, double v) { o.visits = static_cast<uint64_t>(v); }},
    {"--warmup", 0, 600, [](Options& o, double v) { o.warmup_s = v; }},
    {"--duration", 0.01, 3600, [](Options& o, double v) { o.duration_s = v; }},
    {"--connect-timeout", 0.1, 600, [](Options& o, double v) { o.connect_timeout_s = v; }},
    {"--stall-timeout", 0.1, 600, [](Options& o, double v) { o.stall_timeout_s = v; }},
    {"--hold-timeout", 0.1, 3600, [](Options& o, double v) { o.hold_timeout_s = v; }},
};

// Returns false when there is no such flag; `ok` tells whether its value was in range.
bool set_number(const std::string& flag, const char* text, Options& options, bool& ok) {
  for (const NumberFlag& known : kNumberFlags) {
    if (flag != known.name) continue;
    double value = 0;
    ok = parse_number(text, known.low, known.high, value);
    if (ok) known.set(options, value);
    return true;
  }
  return false;
}

bool parse_mode(const char* text, Mode& mode) {
  for (const Mode candidate : {Mode::kClosed, Mode::kRate, Mode::kChurn, Mode::kIdle, Mode::kFetch, Mode::kUdp}) {
    if (strcmp(text, mode_name(candidate)) == 0) {
      mode = candidate;
      return true;
    }
  }
  return false;
}

}  // namespace

const char* mode_name(Mode mode) {
  switch (mode) {
    case Mode::kClosed: return "closed";
    case Mode::kRate: return "rate";
    case Mode::kChurn: return "churn";
    case Mode::kIdle: return "idle";
    case Mode::kFetch: return "fetch";
    case Mode::kUdp: return "udp";
  }
  return "unknown";
}

bool parse_options(int argc, char** argv, Options& options, std::string& problem, bool& help) {
  for (int index = 1; index < argc; index += 1) {
    const std::string flag = argv[index];
    if (flag == "--help") {
      help = true;
      problem = kUsage;
      return false;
    }
    if (flag == "--gate") {
      options.gate = true;
      continue;
    }
    if (index + 1 >= argc) {
      problem = flag + ": unknown flag or missing value";
      return false;
    }
    const char* text = argv[index += 1];
    bool ok = true;
    if (flag == "--host") options.host = text;
    else if (flag == "--mode") ok = parse_mode(text, options.mode);
    else if (!set_number(flag, text, options, ok)) {
      problem = flag + ": unknown flag";
      return false;
    }
    if (!ok) {
      problem = flag + ": '" + text + "' is not valid here";
      return false;
    }
  }
  if (options.port == 0) problem = "--port: missing";
  else if (options.mode == Mode::kRate && options.rate == 0) problem = "--rate: needed in mode rate";
  else if (options.mode == Mode::kUdp && (options.payload_bytes < 8 || options.payload_bytes > 65000))
    problem = "--payload: 8 to 65000 in mode udp";
  else if (options.visits > 0 && options.visits < static_cast<uint64_t>(options.threads))
    problem = "--visits: fewer than --threads";
  else if (options.threads > options.connections) problem = "--threads: more than --connections";
  return problem.empty();
}
