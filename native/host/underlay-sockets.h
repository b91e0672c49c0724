// The sockets between hosts. All are opened before the privileges go; none is opened later.
#pragma once

#include <cstdint>
#include <string>

#include "host/failure.h"
#include "host/file-descriptor.h"
#include "wire/endpoint.h"

namespace vnetd {

struct UnderlaySockets {
  // The tunnel's port. -1: the host has no IPv6, or --bind named an address of the other family.
  FileDescriptor udp4;
  FileDescriptor udp6;
  // Send-only, the caller writes the IP header: forwarded multicasts keep their first source.
  // -1 without CAP_NET_RAW.
  FileDescriptor raw4;
  FileDescriptor raw6;
  // IP protocol 97 for `encapsulation etherip`. -1 without CAP_NET_RAW.
  FileDescriptor etherip4;
  FileDescriptor etherip6;
  // UDP_GRO is on.
  bool coalescing = false;
};

struct UnderlaySocketOptions {
  std::uint16_t udpPort = 0;
  std::string bindAddress;
  bool coalescing = true;
};

Failure openUnderlaySockets(const UnderlaySocketOptions& options, UnderlaySockets& sockets);

// Where multicasts go and come from. Addresses and groups may be none.
struct MulticastMembership {
  std::uint32_t deviceIndex = 0;
  IpAddress group4;
  IpAddress group6;
  IpAddress source4;
  std::uint8_t ttl = 1;
  bool enabled = false;

  friend bool operator==(const MulticastMembership&, const MulticastMembership&) = default;
};

// Leaves the groups of `former` and joins those of `next` on every socket that receives. What
// cannot be joined is the failure; the rest is done all the same.
Failure changeMembership(const UnderlaySockets& sockets, const MulticastMembership& former,
                         const MulticastMembership& next);

}  // namespace vnetd
