// What the workers know of the underlay and of the configured peers. Made whole by the control
// thread, never changed afterwards, exchanged between two rounds of each worker.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "crypto/suite.h"
#include "host/underlay-sockets.h"
#include "path/datagram-sender.h"
#include "wire/endpoint.h"

namespace vnetd {

// Written by every thread that wraps messages for the peer.
struct PeerCounters {
  std::atomic<std::uint64_t> forwardedOut{0};
  std::atomic<std::uint64_t> forwardedIn{0};
};

struct Peer {
  Endpoint host;
  // Keeps its value while the peer is configured: the seen cache tells ways apart by it.
  std::uint16_t index = 0;
  PeerCounters* counters = nullptr;
};

// Octets before the inner Ethernet frame's end of the outer packet: IP, UDP, message header.
inline constexpr std::size_t kUdpOverhead4 = 20 + 8;
inline constexpr std::size_t kUdpOverhead6 = 40 + 8;
inline constexpr std::size_t kTunnelOverhead4 = kUdpOverhead4 + 22;
inline constexpr std::size_t kTunnelOverhead6 = kUdpOverhead6 + 22;

struct UnderlayView {
  SenderUnderlay sender;
  MulticastMembership membership;
  std::uint16_t udpPort = 0;
  std::vector<IpAddress> localAddresses;
  // As many as localAddresses, or none.
  std::vector<std::uint32_t> localPrefixLengths;
  std::vector<std::uint32_t> guestSideDevices;
  std::vector<Peer> peers;

  // Groups that a flood goes to; none where multicast is off or the family has no address.
  Endpoint group4;
  Endpoint group6;
  // The group that a forward to a peer names. Also without multicast: its receiver may have it.
  Endpoint forwardGroup;

  [[nodiscard]] bool hasAddress() const {
    return !sender.source4.isNone() || !sender.source6.isNone();
  }

  [[nodiscard]] bool isLocal(const IpAddress& address) const {
    return std::ranges::find(localAddresses, address) != localAddresses.end();
  }

  [[nodiscard]] bool isGuestSide(std::uint32_t deviceIndex) const {
    return std::ranges::find(guestSideDevices, deviceIndex) != guestSideDevices.end();
  }

  // Null when no peer has this address. The port does not matter: the original ignores it too.
  [[nodiscard]] const Peer* peerAt(const IpAddress& address) const {
    const auto found = std::ranges::find_if(
        peers, [&address](const Peer& peer) { return peer.host.ip() == address; });
    return found == peers.end() ? nullptr : &*found;
  }

  // Is the address in the prefix of one of ours, so that it is on the segment itself? Without
  // prefixes every address counts as on the segment.
  [[nodiscard]] bool isOnLink(const IpAddress& address) const;

  // The largest Ethernet frame whose datagram fits the path MTU to the host.
  [[nodiscard]] std::size_t maxFrameBytes(const Endpoint& host) const {
    return maxFrameBytes(host.family, sender.mtuTo(host.ip()));
  }

  // The same for a flood, whose widest headers count. Members behind a narrower path get fragments:
  // one of them must not narrow it for all.
  [[nodiscard]] std::size_t maxFloodFrameBytes() const {
    return maxFrameBytes(floodFamily(), sender.mtuBytes);
  }

  // The same for frames that are sealed.
  [[nodiscard]] std::size_t maxSealedFrameBytes(Suite suite, const Endpoint& host) const {
    return maxSealedFrameBytes(suite, host.family, sender.mtuTo(host.ip()));
  }
  [[nodiscard]] std::size_t maxSealedFloodFrameBytes(Suite suite) const {
    return maxSealedFrameBytes(suite, floodFamily(), sender.mtuBytes);
  }

  // The family with the largest headers that a flood goes to.
  [[nodiscard]] std::uint8_t floodFamily() const;

 private:
  [[nodiscard]] static std::size_t maxFrameBytes(std::uint8_t family, std::uint32_t mtuBytes) {
    const std::size_t overhead = family == kFamilyIpv6 ? kTunnelOverhead6 : kTunnelOverhead4;
    return mtuBytes > overhead ? mtuBytes - overhead : 0;
  }
  [[nodiscard]] static std::size_t maxSealedFrameBytes(Suite suite, std::uint8_t family,
                                                       std::uint32_t mtuBytes) {
    const std::size_t overhead = family == kFamilyIpv6 ? kUdpOverhead6 : kUdpOverhead4;
    return mtuBytes > overhead ? largestSealedFrame(suite, mtuBytes - overhead) : 0;
  }
};

}  // namespace vnetd
