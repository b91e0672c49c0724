// The command line of vnet-dp.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace vnetd {

inline constexpr std::uint16_t kDefaultUdpPort = 1798;
// The word of --socket for the one that systemd listens on.
inline constexpr std::string_view kInheritedSocket = "systemd";

struct Options {
  // Or kInheritedSocket.
  std::string socketPath;
  // Empty: no pid file, and only the socket says whether another vnet-dp runs.
  std::string pidFile;
  // Empty: vnetd-dp where that user exists, else nobody.
  std::string user;
  // Empty: every address of the host.
  std::string bindAddress;
  std::uint16_t udpPort = kDefaultUdpPort;
  bool tapOffload = true;
  bool udpSegmentation = true;
  bool udpCoalescing = true;

  [[nodiscard]] bool inheritsSocket() const { return socketPath == kInheritedSocket; }
};

struct ParsedOptions {
  enum class Kind { kRun, kHelp, kVersion, kWrong };
  Kind kind = Kind::kWrong;
  Options options;
  // For kWrong: what is wrong, one line.
  std::string message;
};

// `arguments`: without the program's name.
ParsedOptions parseOptions(std::span<const char* const> arguments);

// What `--help` prints.
const char* usageText();

// What `--version` prints, without the line feed.
const char* versionText();

// The switches that are on, as Welcome reports them ("--no-udp-gso --port 1799").
std::string describeOptions(const Options& options);

}  // namespace vnetd
