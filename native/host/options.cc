#include "host/options.h"

#include <charconv>
#include <optional>
#include <string_view>

namespace vnetd {
namespace {

ParsedOptions wrong(std::string message) {
  return {.kind = ParsedOptions::Kind::kWrong, .options = {}, .message = std::move(message)};
}

std::optional<std::uint16_t> parsePort(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0) {
    return std::nullopt;
  }
  return port;
}

// Switches without a value; false when `name` is none of them.
bool applySwitch(std::string_view name, Options& options) {
  if (name == "--no-tap-offload") {
    options.tapOffload = false;
  } else if (name == "--no-udp-gso") {
    options.udpSegmentation = false;
  } else if (name == "--no-udp-gro") {
    options.udpCoalescing = false;
  } else {
    return false;
  }
  return true;
}

// Options with a value; an empty message when it was taken.
std::string applyValue(std::string_view name, std::string_view value, Options& options) {
  if (value.empty()) {
    return std::string(name) + " needs a value";
  }
  if (name == "--socket") {
    options.socketPath = value;
  } else if (name == "--pid-file") {
    options.pidFile = value;
  } else if (name == "--user") {
    options.user = value;
  } else if (name == "--bind") {
    options.bindAddress = value;
  } else if (name == "--port") {
    const std::optional<std::uint16_t> port = parsePort(value);
    if (!port) {
      return "--port must be 1 to 65535, not \"" + std::string(value) + "\"";
    }
    options.udpPort = *port;
  } else if (name == "--queues") {
    if (value != "1") {
      return "--queues must be 1, not \"" + std::string(value) + "\"";
    }
  } else {
    return "unknown option " + std::string(name);
  }
  return {};
}

}  // namespace

ParsedOptions parseOptions(std::span<const char* const> arguments) {
  Options options;
  for (std::size_t index = 0; index < arguments.size(); ++index) {
    const std::string_view argument = arguments[index];
    if (argument == "--help" || argument == "-h") {
      return {.kind = ParsedOptions::Kind::kHelp, .options = {}, .message = {}};
    }
    if (argument == "--version") {
      return {.kind = ParsedOptions::Kind::kVersion, .options = {}, .message = {}};
    }
    if (!argument.starts_with("--")) {
      return wrong("unexpected argument \"" + std::string(argument) + "\"");
    }
    if (applySwitch(argument, options)) {
      continue;
    }
    // Both "--port 1798" and "--port=1798".
    const std::size_t equals = argument.find('=');
    std::string_view name = argument;
    std::string_view value;
    if (equals != std::string_view::npos) {
      name = argument.substr(0, equals);
      value = argument.substr(equals + 1);
    } else if (index + 1 < arguments.size()) {
      value = arguments[++index];
    }
    std::string message = applyValue(name, value, options);
    if (!message.empty()) {
      return wrong(std::move(message));
    }
  }
  if (options.socketPath.empty()) {
    return wrong("--socket PATH is missing");
  }
  return {.kind = ParsedOptions::Kind::kRun, .options = std::move(options), .message = {}};
}

const char* usageText() {
  return "usage: vnet-dp --socket PATH [options]\n"
         "\n"
         "The data plane of vnetd: carries the frames of virtual networks between hosts.\n"
         "vnetd or systemd starts it; there is no need to start it by hand.\n"
         "\n"
         "  --socket PATH      the control socket that vnetd connects to; systemd: the one that\n"
         "                     its socket unit listens on\n"
         "  --pid-file PATH    written and locked, so that no second one runs\n"
         "  --port N           UDP port of the tunnel (1798)\n"
         "  --bind ADDR        receive on this address only (then no multicast arrives)\n"
         "  --user NAME        run as this user (vnetd-dp where it exists, else nobody)\n"
         "  --queues 1         queues of each vnet interface\n"
         "  --no-tap-offload   no segmentation or checksum offload on vnet interfaces\n"
         "  --no-udp-gso       send every datagram by a call of its own\n"
         "  --no-udp-gro       receive every datagram by itself\n"
         "  --version, --help\n"
         "\n"
         "Prints \"ready\" when it serves. Exit status: 0 ended as asked, 1 failed, 2 wrong "
         "usage.\n";
}

const char* versionText() { return "vnet-dp 0.1.0"; }

std::string describeOptions(const Options& options) {
  std::string text = "--port " + std::to_string(options.udpPort);
  if (!options.bindAddress.empty()) {
    text += " --bind " + options.bindAddress;
  }
  if (!options.tapOffload) {
    text += " --no-tap-offload";
  }
  if (!options.udpSegmentation) {
    text += " --no-udp-gso";
  }
  if (!options.udpCoalescing) {
    text += " --no-udp-gro";
  }
  return text;
}

}  // namespace vnetd
