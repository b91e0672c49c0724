// Many datagrams or packets at a rate, from one socket.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "hex-lines.h"
#include "options.h"

namespace vnetd {

// From here on SIGTERM and SIGINT only end what is under way.
void stopOnSignals();
bool isStopAsked();

// `kCount` messages over `buffers`, which have to outlive it.
struct Batch {
  static constexpr std::size_t kCount = 64;

  explicit Batch(std::size_t bytes);

  std::vector<Octets> buffers;
  std::array<iovec, kCount> parts{};
  std::array<mmsghdr, kCount> messages{};
};

struct Load {
  std::uint64_t rate;  // a second; 0 = as fast as it goes
  std::uint64_t countMax;
  double seconds;
};

// --rate, --count and --seconds.
Load readLoad(const Options& options);

// Sends what `fill(number, batch index)` prepares until the load is done, and prints how many that
// were in which time, as JSON.
void sendLoad(int descriptor, Batch& batch, const Load& load,
              const std::function<void(std::uint64_t number, std::size_t index)>& fill);

}  // namespace vnetd
