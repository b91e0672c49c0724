// Datagrams on their way out, gathered into runs: consecutive ones to the same host, of the same
// size, become one sendmsg() that the kernel or the device cuts (UDP_SEGMENT). The stack is
// entered once for up to 64 datagrams, which is where the speed comes from (docs/ARCHITECTURE.md).
//
// Nothing is copied: the octets stay where the caller has them until flush().
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "host/socket-address.h"
#include "host/underlay-sockets.h"
#include "path/offload-state.h"
#include "path/raw-sender.h"
#include "tables/counters.h"
#include "wire/bytes.h"
#include "wire/endpoint.h"

namespace vnetd {

enum class Encapsulation : std::uint8_t { kUdp = 0, kEtherip = 1 };

struct Datagram {
  Endpoint destination;
  // The second part may be empty. Owned by the caller, untouched until flush().
  ByteSpan first;
  ByteSpan second;
  // Whom it is counted for.
  CounterBlock* counters = nullptr;
  // kEtherip: `first` begins with the EtherIP header, and there is no UDP header.
  Encapsulation encapsulation = Encapsulation::kUdp;

  [[nodiscard]] std::size_t size() const { return first.size() + second.size(); }
};

struct PathMtu {
  IpAddress host;
  std::uint32_t mtuBytes = 0;
};

// From which address, over which device, in packets of what size.
struct SenderUnderlay {
  IpAddress source4;
  IpAddress source6;
  std::uint32_t deviceIndex = 0;
  std::uint32_t mtuBytes = 1500;
  // Of packets that are sent with a header of our own.
  std::uint16_t udpPort = 0;
  // Hosts that are reached in one piece with less only; sorted by address. Most often none.
  std::vector<PathMtu> paths{};

  // The largest packet that reaches the host in one piece.
  // HOT PATH: no allocation, no throw.
  [[nodiscard]] std::uint32_t mtuTo(const IpAddress& host) const {
    if (paths.empty()) {
      return mtuBytes;
    }
    const auto found = std::ranges::lower_bound(paths, host, {}, &PathMtu::host);
    return found == paths.end() || found->host != host ? mtuBytes
                                                       : std::min(mtuBytes, found->mtuBytes);
  }
};

class DatagramSender {
 public:
  DatagramSender(const UnderlaySockets& sockets, OffloadState& offloads);

  // Only between flush() and add().
  void setUnderlay(const SenderUnderlay& underlay);

  // HOT PATH: no allocation, no throw.
  void add(const Datagram& datagram);

  // Sends what is left. After it the caller may use its buffers again.
  void flush();

 private:
  static constexpr std::size_t kSegmentsMax = 64;
  static constexpr std::size_t kRunBytesMax = 65'000;
  static constexpr std::size_t kPartsMax = kSegmentsMax * 2;

  struct Run {
    Endpoint destination;
    CounterBlock* counters = nullptr;
    Encapsulation encapsulation = Encapsulation::kUdp;
    std::size_t segmentBytes = 0;
    std::size_t totalBytes = 0;
    std::size_t count = 0;
    // A shorter datagram was taken: UDP_SEGMENT allows one, as the last.
    bool closed = false;
    // Of a single datagram that has to be cut to it: what the path takes, not the underlay. Or 0.
    std::uint32_t cutBytes = 0;
  };

  // Source address and, in a run, the segment size: the kernel reads one control buffer.
  struct Control {
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(in6_pktinfo)) +
                                               CMSG_SPACE(sizeof(std::uint16_t))> octets{};
    std::size_t sourceBytes = 0;
  };

  [[nodiscard]] bool fitsRun(const Datagram& datagram, std::size_t bytes) const;
  [[nodiscard]] bool segmentationOf(std::uint8_t family) const;
  [[nodiscard]] int socketOf(const Run& run) const;
  void append(const Datagram& datagram, std::size_t bytes);
  void sendRun();
  [[nodiscard]] bool sendCut();
  void sendSingly(msghdr& message, int socket);
  void noteRefusal(int error);
  void count(std::size_t datagrams, std::size_t bytes) const;
  void prepareControl4(const IpAddress& source);
  void prepareControl6(const IpAddress& source);

  const UnderlaySockets& sockets_;
  OffloadState& offloads_;
  RawSender rawSender_;
  SenderUnderlay underlay_;
  Control control4_;
  Control control6_;
  Run run_;
  std::array<iovec, kPartsMax> parts_{};
  std::size_t partCount_ = 0;
  // Where datagram i's parts begin, to send a refused run one by one.
  std::array<std::uint16_t, kSegmentsMax + 1> partStart_{};
  int refusals_ = 0;
};

}  // namespace vnetd
