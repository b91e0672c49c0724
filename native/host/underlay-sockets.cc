#include "host/underlay-sockets.h"

#include <arpa/inet.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "host/socket-address.h"
#include "wire/etherip.h"

namespace vnetd {
namespace {

// A burst of super-datagrams from several hosts must fit while the inbound thread is elsewhere.
constexpr int kSocketBufferBytes = 8 * 1024 * 1024;

template <typename Value>
bool setOption(int socket, int level, int option, const Value& value) {
  return ::setsockopt(socket, level, option, &value, sizeof value) == 0;
}

void setBuffers(int socket) {
  // FORCE goes beyond net.core.rmem_max and needs CAP_NET_ADMIN; without it, as much as may be.
  if (!setOption(socket, SOL_SOCKET, SO_RCVBUFFORCE, kSocketBufferBytes)) {
    setOption(socket, SOL_SOCKET, SO_RCVBUF, kSocketBufferBytes);
  }
  if (!setOption(socket, SOL_SOCKET, SO_SNDBUFFORCE, kSocketBufferBytes)) {
    setOption(socket, SOL_SOCKET, SO_SNDBUF, kSocketBufferBytes);
  }
  setOption(socket, SOL_SOCKET, SO_RXQ_OVFL, 1);
}

// What every IPv4 socket of ours has: the destination of what arrives, no copies of our own
// multicasts, only groups that we joined, and DF clear (the kernel and routers may fragment).
bool prepareIpv4(int socket) {
  setBuffers(socket);
  return setOption(socket, IPPROTO_IP, IP_PKTINFO, 1) &&
         setOption(socket, IPPROTO_IP, IP_MULTICAST_LOOP, 0) &&
         setOption(socket, IPPROTO_IP, IP_MULTICAST_ALL, 0) &&
         setOption(socket, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
}

// IPv6 routers do not fragment, so the path MTU must be learned (IPV6_PMTUDISC_WANT) for the
// kernel to cut to it.
bool prepareIpv6(int socket) {
  setBuffers(socket);
  return setOption(socket, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
         setOption(socket, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0) &&
         setOption(socket, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0) &&
         setOption(socket, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_WANT);
}

int openSocket(int family, int type, int protocol) {
  return ::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
}

Failure bindFailure(const Endpoint& local, int error) {
  Failure failure = failureOf("Cannot bind UDP " + local.toText(), error);
  if (error == EADDRINUSE) {
    failure.message += "; another vnetd or tunnel has the port, stop it or choose one with --port";
  } else if (error == EADDRNOTAVAIL) {
    failure.message += "; no interface has this address";
  } else if (error == EACCES) {
    failure.message += "; ports below 1024 need root";
  }
  return failure;
}

Failure bindTo(int socket, const Endpoint& local) {
  SocketAddress address{};
  const socklen_t length = encodeSocketAddress(local, 0, address);
  if (::bind(socket, address.raw(), length) != 0) {
    return bindFailure(local, errno);
  }
  return noFailure();
}

Failure openUdp4(const Endpoint& local, FileDescriptor& socket) {
  socket.reset(openSocket(AF_INET, SOCK_DGRAM, 0));
  if (!socket.valid() || !prepareIpv4(socket.get())) {
    return failureOf("Cannot make the UDP socket");
  }
  return bindTo(socket.get(), local);
}

// A host without IPv6 is no failure: it has only the other socket.
Failure openUdp6(const Endpoint& local, bool isRequired, FileDescriptor& socket) {
  socket.reset(openSocket(AF_INET6, SOCK_DGRAM, 0));
  if (!socket.valid() || !setOption(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1) ||
      !prepareIpv6(socket.get())) {
    socket.reset();
    return isRequired ? failureOf("Cannot make the IPv6 UDP socket") : noFailure();
  }
  Failure failure = bindTo(socket.get(), local);
  if (failure.failed() && !isRequired && failure.error == EADDRNOTAVAIL) {
    socket.reset();
    return noFailure();
  }
  return failure;
}

// Raw sockets need CAP_NET_RAW. Without them vnets still work: only forwarded multicasts are
// not multicast again, and there is no EtherIP. Welcome says so.
void openRawSockets(UnderlaySockets& sockets) {
  sockets.raw4.reset(openSocket(AF_INET, SOCK_RAW, IPPROTO_RAW));
  if (sockets.raw4.valid() && (!prepareIpv4(sockets.raw4.get()) ||
                               !setOption(sockets.raw4.get(), IPPROTO_IP, IP_HDRINCL, 1))) {
    sockets.raw4.reset();
  }
  sockets.etherip4.reset(openSocket(AF_INET, SOCK_RAW, kEtheripProtocol));
  if (sockets.etherip4.valid() && !prepareIpv4(sockets.etherip4.get())) {
    sockets.etherip4.reset();
  }
  if (!sockets.udp6.valid()) {
    return;
  }
  sockets.raw6.reset(openSocket(AF_INET6, SOCK_RAW, IPPROTO_RAW));
  if (sockets.raw6.valid() && (!prepareIpv6(sockets.raw6.get()) ||
                               !setOption(sockets.raw6.get(), IPPROTO_IPV6, IPV6_HDRINCL, 1))) {
    sockets.raw6.reset();
  }
  sockets.etherip6.reset(openSocket(AF_INET6, SOCK_RAW, kEtheripProtocol));
  if (sockets.etherip6.valid() && !prepareIpv6(sockets.etherip6.get())) {
    sockets.etherip6.reset();
  }
}

bool enableCoalescing(const UnderlaySockets& sockets) {
  return std::ranges::all_of(std::array{&sockets.udp4, &sockets.udp6}, [](const auto* socket) {
    return !socket->valid() || setOption(socket->get(), IPPROTO_UDP, UDP_GRO, 1);
  });
}

bool parseBindAddress(const std::string& text, IpAddress& address) {
  in_addr ipv4{};
  in6_addr ipv6{};
  SocketAddress parsed{};
  if (::inet_pton(AF_INET, text.c_str(), &ipv4) == 1) {
    parsed.ipv4.sin_family = AF_INET;
    parsed.ipv4.sin_addr = ipv4;
  } else if (::inet_pton(AF_INET6, text.c_str(), &ipv6) == 1) {
    parsed.ipv6 = {};
    parsed.ipv6.sin6_family = AF_INET6;
    parsed.ipv6.sin6_addr = ipv6;
  } else {
    return false;
  }
  address = decodeSocketAddress(parsed).ip();
  return true;
}

Failure membershipFailure(const char* what, const IpAddress& group) {
  return failureOf(std::string(what) + " group " + group.toText());
}

Failure changeIpv4(const UnderlaySockets& sockets, const MulticastMembership& membership,
                   bool join) {
  Failure failure;
  const ip_mreqn request{.imr_multiaddr = toInAddr(membership.group4),
                         .imr_address = toInAddr(membership.source4),
                         .imr_ifindex = static_cast<int>(membership.deviceIndex)};
  const int option = join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP;
  for (const FileDescriptor* socket : {&sockets.udp4, &sockets.etherip4}) {
    // A device that is gone took its memberships with it, so leaving may fail.
    if (socket->valid() && !setOption(socket->get(), IPPROTO_IP, option, request) && join) {
      failure = membershipFailure("Cannot join", membership.group4);
    }
  }
  return failure;
}

Failure changeIpv6(const UnderlaySockets& sockets, const MulticastMembership& membership,
                   bool join) {
  Failure failure;
  const ipv6_mreq request{.ipv6mr_multiaddr = toIn6Addr(membership.group6),
                          .ipv6mr_interface = membership.deviceIndex};
  const int option = join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP;
  for (const FileDescriptor* socket : {&sockets.udp6, &sockets.etherip6}) {
    if (socket->valid() && !setOption(socket->get(), IPPROTO_IPV6, option, request) && join) {
      failure = membershipFailure("Cannot join", membership.group6);
    }
  }
  return failure;
}

Failure aimMulticasts(const UnderlaySockets& sockets, const MulticastMembership& membership) {
  Failure failure;
  const ip_mreqn leaving4{.imr_multiaddr = {},
                          .imr_address = toInAddr(membership.source4),
                          .imr_ifindex = static_cast<int>(membership.deviceIndex)};
  const int ttl = membership.ttl;
  for (const FileDescriptor* socket : {&sockets.udp4, &sockets.raw4, &sockets.etherip4}) {
    if (socket->valid() && (!setOption(socket->get(), IPPROTO_IP, IP_MULTICAST_IF, leaving4) ||
                            !setOption(socket->get(), IPPROTO_IP, IP_MULTICAST_TTL, ttl))) {
      failure = failureOf("Cannot multicast on device " + std::to_string(membership.deviceIndex));
    }
  }
  const int leaving6 = static_cast<int>(membership.deviceIndex);
  for (const FileDescriptor* socket : {&sockets.udp6, &sockets.raw6, &sockets.etherip6}) {
    if (socket->valid() && (!setOption(socket->get(), IPPROTO_IPV6, IPV6_MULTICAST_IF, leaving6) ||
                            !setOption(socket->get(), IPPROTO_IPV6, IPV6_MULTICAST_HOPS, ttl))) {
      failure = failureOf("Cannot multicast on device " + std::to_string(membership.deviceIndex));
    }
  }
  return failure;
}

}  // namespace

Failure openUnderlaySockets(const UnderlaySocketOptions& options, UnderlaySockets& sockets) {
  Endpoint local4{.address = {}, .udpPort = options.udpPort, .family = kFamilyIpv4};
  Endpoint local6{.address = {}, .udpPort = options.udpPort, .family = kFamilyIpv6};
  IpAddress bound;
  if (!options.bindAddress.empty()) {
    if (!parseBindAddress(options.bindAddress, bound)) {
      return {.error = EINVAL,
              .message = "--bind must be an IP address, not \"" + options.bindAddress + "\""};
    }
    (bound.family == kFamilyIpv4 ? local4 : local6).address = bound.octets;
  }
  if (bound.family != kFamilyIpv6) {
    if (Failure failure = openUdp4(local4, sockets.udp4); failure.failed()) {
      return failure;
    }
  }
  if (bound.family != kFamilyIpv4) {
    const bool isRequired = bound.family == kFamilyIpv6;
    if (Failure failure = openUdp6(local6, isRequired, sockets.udp6); failure.failed()) {
      return failure;
    }
  }
  openRawSockets(sockets);
  sockets.coalescing = options.coalescing && enableCoalescing(sockets);
  return noFailure();
}

Failure changeMembership(const UnderlaySockets& sockets, const MulticastMembership& former,
                         const MulticastMembership& next) {
  if (former.enabled && !former.group4.isNone()) {
    changeIpv4(sockets, former, false);
  }
  if (former.enabled && !former.group6.isNone()) {
    changeIpv6(sockets, former, false);
  }
  if (!next.enabled) {
    return noFailure();
  }
  Failure failure = aimMulticasts(sockets, next);
  if (!next.group4.isNone()) {
    if (const Failure joining = changeIpv4(sockets, next, true); joining.failed()) {
      failure = joining;
    }
  }
  if (!next.group6.isNone()) {
    if (const Failure joining = changeIpv6(sockets, next, true); joining.failed()) {
      failure = joining;
    }
  }
  return failure;
}

}  // namespace vnetd
