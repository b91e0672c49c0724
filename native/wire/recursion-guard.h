// Is a guest's frame tunnel traffic of our own? Such a frame would be tunnelled in a datagram that
// comes back to be tunnelled again (a vnet's bridge that is also the underlay's, by mistake).
//
// It is, when it holds UDP to our port or EtherIP (IP protocol 97), and
//   - its destination is an address of this host, or
//   - its source is an address of this host, or
//   - its destination is our group and its source is a host we know as one of the overlay.
// A guest may run a vnetd of its own: its addresses are neither ours nor a known host's.
//
// First fragments count, they hold the ports. Later fragments pass: without the first one nobody
// can put them together.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "wire/endpoint.h"

namespace vnetd {

// The addresses of a frame that looks like tunnel traffic.
struct TunnelAddresses {
  IpAddress source;
  IpAddress destination;
};

// Nothing unless the frame (Ethernet, up to two VLAN tags) holds UDP to `udpPort` or EtherIP.
// HOT PATH: no allocation, no throw.
[[nodiscard]] std::optional<TunnelAddresses> findTunnelAddresses(std::span<const std::byte> frame,
                                                                 std::uint16_t udpPort);

// What is ours. Shares memory with the underlay's settings.
struct TunnelIdentity {
  std::uint16_t udpPort = 0;
  IpAddress group4;
  IpAddress group6;
  std::span<const IpAddress> localAddresses;
};

// `isKnownHost(const IpAddress&)`: is this a peer, or a host that frames came from?
// HOT PATH: no allocation, no throw.
template <class IsKnownHost>
[[nodiscard]] bool isOwnTunnelTraffic(std::span<const std::byte> frame,
                                      const TunnelIdentity& identity, IsKnownHost&& isKnownHost) {
  const auto addresses = findTunnelAddresses(frame, identity.udpPort);
  if (!addresses) {
    return false;
  }
  const auto isLocal = [&identity](const IpAddress& address) {
    return std::ranges::find(identity.localAddresses, address) != identity.localAddresses.end();
  };
  if (isLocal(addresses->destination) || isLocal(addresses->source)) {
    return true;
  }
  const bool isOurGroup =
      addresses->destination == identity.group4 || addresses->destination == identity.group6;
  return isOurGroup && isKnownHost(addresses->source);
}

}  // namespace vnetd
