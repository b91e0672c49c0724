#include "path/reemitter.h"

#include <algorithm>
#include <cerrno>

#include "wire/ethernet.h"

namespace vnetd {
namespace {

// As the kernel's own: to a host anywhere.
constexpr std::uint8_t kUnicastTtl = 64;

}  // namespace

Reemitter::Reemitter(const UnderlaySockets& sockets) : sockets_(sockets), sender_(sockets) {}

bool Reemitter::send(const UnderlayView& view, const Endpoint& source, ByteSpan message) {
  const Endpoint& group = source.family == kFamilyIpv6 ? view.group6 : view.group4;
  return !group.isNone() && sender_.send({.source = source,
                                          .destination = group,
                                          .first = message,
                                          .second = {},
                                          .ttl = view.membership.ttl,
                                          .deviceIndex = view.sender.deviceIndex,
                                          .mtuBytes = view.sender.mtuBytes}) == 0;
}

int Reemitter::sendWhole(const UnderlayView& view, const Endpoint& host, ByteSpan message) {
  const bool isIpv6 = host.family == kFamilyIpv6;
  const IpAddress& address = isIpv6 ? view.sender.source6 : view.sender.source4;
  const std::size_t headers = kUdpHeaderBytes + (isIpv6 ? kIpv6HeaderBytes : kIpv4HeaderBytes);
  if ((isIpv6 ? sockets_.raw6 : sockets_.raw4).get() < 0) {
    return EOPNOTSUPP;
  }
  if (address.isNone()) {
    return ENETUNREACH;
  }
  if (message.size() + headers > view.sender.mtuBytes) {
    return EMSGSIZE;
  }
  return sender_.send({.source = Endpoint::from(address, view.udpPort),
                       .destination = host,
                       .first = message,
                       .second = {},
                       .ttl = kUnicastTtl,
                       .deviceIndex = view.sender.deviceIndex,
                       .mtuBytes = view.sender.mtuBytes,
                       .isWhole = true});
}

}  // namespace vnetd
