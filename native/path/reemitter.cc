#include "path/reemitter.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "host/clock.h"
#include "host/socket-address.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"

namespace vnetd {
namespace {

constexpr std::uint8_t kNextHeaderFragment = 44;
constexpr std::size_t kFragmentHeaderBytes = 8;
// Fragment offsets count units of 8 octets (RFC 791 §3.1, RFC 8200 §4.5).
constexpr std::size_t kFragmentUnitBytes = 8;
constexpr std::uint16_t kMoreFragments4 = 0x2000;
constexpr std::uint16_t kDontFragment4 = 0x4000;
// As the kernel's own: to a host anywhere.
constexpr std::uint8_t kUnicastTtl = 64;

std::size_t addressBytes(const Endpoint& endpoint) {
  return endpoint.family == kFamilyIpv4 ? kIpv4Bytes : kIpv6Bytes;
}

// Fills the UDP header in front of `message`, whose octets are behind it already.
void fillUdpHeader(MutableByteSpan datagram, const Endpoint& source, const Endpoint& destination) {
  storeU16(datagram.data(), source.udpPort);
  storeU16(&datagram[2], destination.udpPort);
  storeU16(&datagram[4], static_cast<std::uint16_t>(datagram.size()));
  storeU16(&datagram[6], 0);
  std::array<std::byte, 2 * kIpv6Bytes> addresses{};
  const std::size_t bytes = addressBytes(source);
  std::copy_n(source.address.begin(), bytes, addresses.begin());
  std::copy_n(destination.address.begin(), bytes,
              addresses.begin() + static_cast<std::ptrdiff_t>(bytes));
  const std::uint64_t pseudo = pseudoHeaderSum(ByteSpan(addresses).first(2 * bytes), kIpProtocolUdp,
                                               static_cast<std::uint32_t>(datagram.size()));
  storeU16(&datagram[6], udpChecksumOf(pseudo + sumBytes(datagram)));
}

// Octets of each fragment but the last; the whole payload when it fits.
std::size_t fragmentBytes(std::size_t mtuBytes, std::size_t headerBytes, std::size_t payload) {
  const std::size_t room = mtuBytes > headerBytes ? mtuBytes - headerBytes : 0;
  return payload <= room ? payload : room / kFragmentUnitBytes * kFragmentUnitBytes;
}

}  // namespace

// Starts anywhere: two hosts that re-emit for the same source must not use the same ids.
Reemitter::Reemitter(const UnderlaySockets& sockets)
    : sockets_(sockets),
      nextId_(static_cast<std::uint32_t>(monotonicMs() * 2'654'435'761U)),
      datagram_(std::make_unique<std::array<std::byte, kPacketBytesMax>>()) {}

bool Reemitter::send(const UnderlayView& view, const Endpoint& source, ByteSpan message) {
  const bool isIpv6 = source.family == kFamilyIpv6;
  const Endpoint& group = isIpv6 ? view.group6 : view.group4;
  const std::size_t headers =
      kUdpHeaderBytes + (isIpv6 ? kIpv6HeaderBytes + kFragmentHeaderBytes : kIpv4HeaderBytes);
  if (group.isNone() || message.size() + headers > kPacketBytesMax) {
    return false;
  }
  const Payload payload{.view = view,
                        .source = source,
                        .destination = group,
                        .octets = fillDatagram(source, group, message),
                        .ttl = view.membership.ttl};
  return (isIpv6 ? sendIpv6(payload) : sendIpv4(payload)) == 0;
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
  if (message.size() + headers > std::min<std::size_t>(view.sender.mtuBytes, kPacketBytesMax)) {
    return EMSGSIZE;
  }
  const Endpoint source = Endpoint::from(address, view.udpPort);
  const Payload payload{.view = view,
                        .source = source,
                        .destination = host,
                        .octets = fillDatagram(source, host, message),
                        .ttl = kUnicastTtl,
                        .isWhole = true};
  return isIpv6 ? sendIpv6(payload) : sendIpv4(payload);
}

MutableByteSpan Reemitter::fillDatagram(const Endpoint& source, const Endpoint& destination,
                                        ByteSpan message) {
  const MutableByteSpan datagram =
      MutableByteSpan(*datagram_).first(kUdpHeaderBytes + message.size());
  std::ranges::copy(message, datagram.begin() + kUdpHeaderBytes);
  fillUdpHeader(datagram, source, destination);
  return datagram;
}

int Reemitter::sendIpv4(const Payload& payload) {
  std::array<std::byte, kIpv4HeaderBytes> header{};
  const std::size_t total = payload.octets.size();
  const std::size_t step = fragmentBytes(payload.view.sender.mtuBytes, header.size(), total);
  if (step == 0) {
    return EMSGSIZE;
  }
  // The kernel fills length and checksum, and the id when it is 0: fragments need one of theirs.
  storeU8(header.data(), 0x45);
  storeU16(&header[4], static_cast<std::uint16_t>((++nextId_ & 0xFFFFU) | 1U));
  storeU8(&header[8], payload.ttl);
  storeU8(&header[9], kIpProtocolUdp);
  std::copy_n(payload.source.address.begin(), kIpv4Bytes, &header[12]);
  std::copy_n(payload.destination.address.begin(), kIpv4Bytes, &header[16]);
  for (std::size_t offset = 0; offset < total; offset += step) {
    const ByteSpan part = payload.octets.subspan(offset, std::min(step, total - offset));
    const bool hasMore = offset + part.size() < total;
    storeU16(&header[6], static_cast<std::uint16_t>((offset / kFragmentUnitBytes) |
                                                    (hasMore ? kMoreFragments4 : 0U) |
                                                    (payload.isWhole ? kDontFragment4 : 0U)));
    if (const int error = sendPacket(sockets_.raw4.get(), payload, header, part); error != 0) {
      return error;
    }
  }
  return 0;
}

int Reemitter::sendIpv6(const Payload& payload) {
  std::array<std::byte, kIpv6HeaderBytes + kFragmentHeaderBytes> header{};
  const std::size_t total = payload.octets.size();
  const bool isWhole = kIpv6HeaderBytes + total <= payload.view.sender.mtuBytes;
  const std::size_t headerBytes = isWhole ? kIpv6HeaderBytes : header.size();
  const std::size_t step = fragmentBytes(payload.view.sender.mtuBytes, headerBytes, total);
  if (step == 0) {
    return EMSGSIZE;
  }
  storeU8(header.data(), 0x60);
  storeU8(&header[6], isWhole ? kIpProtocolUdp : kNextHeaderFragment);
  storeU8(&header[7], payload.ttl);
  std::copy_n(payload.source.address.begin(), kIpv6Bytes, &header[8]);
  std::copy_n(payload.destination.address.begin(), kIpv6Bytes, &header[24]);
  storeU8(&header[kIpv6HeaderBytes], kIpProtocolUdp);
  storeU32(&header[kIpv6HeaderBytes + 4], ++nextId_);
  for (std::size_t offset = 0; offset < total; offset += step) {
    const ByteSpan part = payload.octets.subspan(offset, std::min(step, total - offset));
    const bool hasMore = offset + part.size() < total;
    storeU16(&header[kIpv6HeaderBytes + 2],
             static_cast<std::uint16_t>(offset | (hasMore ? 1U : 0U)));
    storeU16(&header[4], static_cast<std::uint16_t>(headerBytes - kIpv6HeaderBytes + part.size()));
    if (const int error =
            sendPacket(sockets_.raw6.get(), payload, ByteSpan(header).first(headerBytes), part);
        error != 0) {
      return error;
    }
  }
  return 0;
}

int Reemitter::sendPacket(int socket, const Payload& payload, ByteSpan header, ByteSpan part) {
  if (socket < 0) {
    return EOPNOTSUPP;
  }
  SocketAddress address{};
  Endpoint destination = payload.destination;
  destination.udpPort = 0;
  // sendmsg() only reads, but iovec has no const.
  std::array<iovec, 2> parts{{
      {.iov_base = const_cast<std::byte*>(header.data()),  // NOLINT(*-const-cast)
       .iov_len = header.size()},
      {.iov_base = const_cast<std::byte*>(part.data()),  // NOLINT(*-const-cast)
       .iov_len = part.size()},
  }};
  msghdr message{};
  message.msg_namelen = encodeSocketAddress(destination, payload.view.sender.deviceIndex, address);
  message.msg_name = &address;
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  return ::sendmsg(socket, &message, MSG_NOSIGNAL) >= 0 ? 0 : errno;
}

}  // namespace vnetd
