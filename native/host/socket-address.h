// Endpoints as the kernel wants and gives them.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>

#include "wire/endpoint.h"

namespace vnetd {

union SocketAddress {
  sockaddr any;
  sockaddr_in ipv4;
  sockaddr_in6 ipv6;

  sockaddr* raw() { return &any; }
};

// Fills `out` and returns its length; 0 for an endpoint without an address. `scopeId`: the
// device that a link-local IPv6 address belongs to.
// HOT PATH: no allocation, no throw.
socklen_t encodeSocketAddress(const Endpoint& endpoint, std::uint32_t scopeId, SocketAddress& out);

// None when it is neither IPv4 nor IPv6.
// HOT PATH: no allocation, no throw.
Endpoint decodeSocketAddress(const SocketAddress& address);

in_addr toInAddr(const IpAddress& address);
in6_addr toIn6Addr(const IpAddress& address);

}  // namespace vnetd
