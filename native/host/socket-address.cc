#include "host/socket-address.h"

#include <cstring>
#include <span>

namespace vnetd {

in_addr toInAddr(const IpAddress& address) {
  in_addr result{};
  std::memcpy(&result, address.octets.data(), sizeof result);
  return result;
}

in6_addr toIn6Addr(const IpAddress& address) {
  in6_addr result{};
  std::memcpy(&result, address.octets.data(), sizeof result);
  return result;
}

socklen_t encodeSocketAddress(const Endpoint& endpoint, std::uint32_t scopeId, SocketAddress& out) {
  if (endpoint.family == kFamilyIpv4) {
    out.ipv4 = {};
    out.ipv4.sin_family = AF_INET;
    out.ipv4.sin_port = htons(endpoint.udpPort);
    std::memcpy(&out.ipv4.sin_addr, endpoint.address.data(), sizeof out.ipv4.sin_addr);
    return sizeof out.ipv4;
  }
  if (endpoint.family == kFamilyIpv6) {
    out.ipv6 = {};
    out.ipv6.sin6_family = AF_INET6;
    out.ipv6.sin6_port = htons(endpoint.udpPort);
    std::memcpy(&out.ipv6.sin6_addr, endpoint.address.data(), sizeof out.ipv6.sin6_addr);
    if (IN6_IS_ADDR_LINKLOCAL(&out.ipv6.sin6_addr) || IN6_IS_ADDR_MULTICAST(&out.ipv6.sin6_addr)) {
      out.ipv6.sin6_scope_id = scopeId;
    }
    return sizeof out.ipv6;
  }
  return 0;
}

Endpoint decodeSocketAddress(const SocketAddress& address) {
  if (address.any.sa_family == AF_INET) {
    std::array<std::byte, kIpv4Bytes> octets{};
    std::memcpy(octets.data(), &address.ipv4.sin_addr, sizeof octets);
    return Endpoint::from(IpAddress::fromIpv4(octets), ntohs(address.ipv4.sin_port));
  }
  if (address.any.sa_family == AF_INET6) {
    std::array<std::byte, kIpv6Bytes> octets{};
    std::memcpy(octets.data(), &address.ipv6.sin6_addr, sizeof octets);
    return Endpoint::from(IpAddress::fromIpv6(octets), ntohs(address.ipv6.sin6_port));
  }
  return {};
}

}  // namespace vnetd
