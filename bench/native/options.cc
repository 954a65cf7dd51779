// Parses `--name value` pairs; every number has a range, so that no run is without bounds.

#include "options.h"

#include <cstdlib>
#include <cstring>

namespace {

const char kUsage[] =
    "tlv-load --port P [--host ADDRESS] [--mode closed|rate|churn|idle]\n"
    "  --connections N  connections over all threads (40)\n"
    "  --depth N        requests in flight per connection (1)\n"
    "  --payload BYTES  body of every request (64)\n"
    "  --msg-id N       message id that the server echoes (1)\n"
    "  --threads N      client threads (1)\n"
    "  --rate R         requests per second, mode rate; latency counts from the intended send time\n"
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

bool parse_mode(const char* text, Mode& mode) {
  for (const Mode candidate : {Mode::kClosed, Mode::kRate, Mode::kChurn, Mode::kIdle}) {
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
    double value = 0;
    bool ok = true;
    const auto number = [&](double low, double high) { return ok = parse_number(text, low, high, value); };
    if (flag == "--host") options.host = text;
    else if (flag == "--mode") ok = parse_mode(text, options.mode);
    else if (flag == "--port") { if (number(1, 65535)) options.port = static_cast<uint16_t>(value); }
    else if (flag == "--connections") { if (number(1, 60000)) options.connections = static_cast<int>(value); }
    else if (flag == "--depth") { if (number(1, 4096)) options.depth = static_cast<int>(value); }
    else if (flag == "--payload") { if (number(0, 16 << 20)) options.payload_bytes = static_cast<uint32_t>(value); }
    else if (flag == "--msg-id") { if (number(0, 4294967295.0)) options.msg_id = static_cast<uint32_t>(value); }
    else if (flag == "--threads") { if (number(1, 64)) options.threads = static_cast<int>(value); }
    else if (flag == "--rate") { if (number(0.1, 1e8)) options.rate = value; }
    else if (flag == "--warmup") { if (number(0, 600)) options.warmup_s = value; }
    else if (flag == "--duration") { if (number(0.01, 3600)) options.duration_s = value; }
    else if (flag == "--connect-timeout") { if (number(0.1, 600)) options.connect_timeout_s = value; }
    else if (flag == "--stall-timeout") { if (number(0.1, 600)) options.stall_timeout_s = value; }
    else if (flag == "--hold-timeout") { if (number(0.1, 3600)) options.hold_timeout_s = value; }
    else {
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
  else if (options.threads > options.connections) problem = "--threads: more than --connections";
  return problem.empty();
}
