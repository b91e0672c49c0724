#include "path/raw-sender.h"

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

// Starts anywhere: two hosts that send for the same source must not use the same ids.
RawSender::RawSender(const UnderlaySockets& sockets)
    : sockets_(sockets),
      nextId_(static_cast<std::uint32_t>(monotonicMs() * 2'654'435'761U)),
      datagram_(std::make_unique_for_overwrite<std::array<std::byte, kPacketBytesMax>>()) {}

int RawSender::send(const RawDatagram& datagram) {
  const bool isIpv6 = datagram.destination.family == kFamilyIpv6;
  const std::size_t headers =
      kUdpHeaderBytes + (isIpv6 ? kIpv6HeaderBytes + kFragmentHeaderBytes : kIpv4HeaderBytes);
  const std::size_t bytes = kUdpHeaderBytes + datagram.first.size() + datagram.second.size();
  if (bytes - kUdpHeaderBytes + headers > kPacketBytesMax) {
    return EMSGSIZE;
  }
  const MutableByteSpan payload = MutableByteSpan(*datagram_).first(bytes);
  std::ranges::copy(datagram.first, &payload[kUdpHeaderBytes]);
  std::ranges::copy(datagram.second,
                    payload.end() - static_cast<std::ptrdiff_t>(datagram.second.size()));
  fillUdpHeader(payload, datagram.source, datagram.destination);
  return isIpv6 ? sendIpv6(datagram, payload) : sendIpv4(datagram, payload);
}

int RawSender::sendIpv4(const RawDatagram& datagram, ByteSpan payload) {
  std::array<std::byte, kIpv4HeaderBytes> header{};
  const std::size_t total = payload.size();
  const std::size_t step = fragmentBytes(datagram.mtuBytes, header.size(), total);
  if (step == 0) {
    return EMSGSIZE;
  }
  // The kernel fills length and checksum, and the id when it is 0: fragments need one of theirs.
  storeU8(header.data(), 0x45);
  storeU16(&header[4], static_cast<std::uint16_t>((++nextId_ & 0xFFFFU) | 1U));
  storeU8(&header[8], datagram.ttl);
  storeU8(&header[9], kIpProtocolUdp);
  std::copy_n(datagram.source.address.begin(), kIpv4Bytes, &header[12]);
  std::copy_n(datagram.destination.address.begin(), kIpv4Bytes, &header[16]);
  for (std::size_t offset = 0; offset < total; offset += step) {
    const ByteSpan part = payload.subspan(offset, std::min(step, total - offset));
    const bool hasMore = offset + part.size() < total;
    storeU16(&header[6], static_cast<std::uint16_t>((offset / kFragmentUnitBytes) |
                                                    (hasMore ? kMoreFragments4 : 0U) |
                                                    (datagram.isWhole ? kDontFragment4 : 0U)));
    if (const int error = sendPacket(sockets_.raw4.get(), datagram, header, part); error != 0) {
      return error;
    }
  }
  return 0;
}

int RawSender::sendIpv6(const RawDatagram& datagram, ByteSpan payload) {
  std::array<std::byte, kIpv6HeaderBytes + kFragmentHeaderBytes> header{};
  const std::size_t total = payload.size();
  const bool isWhole = kIpv6HeaderBytes + total <= datagram.mtuBytes;
  const std::size_t headerBytes = isWhole ? kIpv6HeaderBytes : header.size();
  const std::size_t step = fragmentBytes(datagram.mtuBytes, headerBytes, total);
  if (step == 0) {
    return EMSGSIZE;
  }
  storeU8(header.data(), 0x60);
  storeU8(&header[6], isWhole ? kIpProtocolUdp : kNextHeaderFragment);
  storeU8(&header[7], datagram.ttl);
  std::copy_n(datagram.source.address.begin(), kIpv6Bytes, &header[8]);
  std::copy_n(datagram.destination.address.begin(), kIpv6Bytes, &header[24]);
  storeU8(&header[kIpv6HeaderBytes], kIpProtocolUdp);
  storeU32(&header[kIpv6HeaderBytes + 4], ++nextId_);
  for (std::size_t offset = 0; offset < total; offset += step) {
    const ByteSpan part = payload.subspan(offset, std::min(step, total - offset));
    const bool hasMore = offset + part.size() < total;
    storeU16(&header[kIpv6HeaderBytes + 2],
             static_cast<std::uint16_t>(offset | (hasMore ? 1U : 0U)));
    storeU16(&header[4], static_cast<std::uint16_t>(headerBytes - kIpv6HeaderBytes + part.size()));
    if (const int error =
            sendPacket(sockets_.raw6.get(), datagram, ByteSpan(header).first(headerBytes), part);
        error != 0) {
      return error;
    }
  }
  return 0;
}

int RawSender::sendPacket(int socket, const RawDatagram& datagram, ByteSpan header, ByteSpan part) {
  if (socket < 0) {
    return EOPNOTSUPP;
  }
  SocketAddress address{};
  Endpoint destination = datagram.destination;
  destination.udpPort = 0;
  // sendmsg() only reads, but iovec has no const.
  std::array<iovec, 2> parts{{
      {.iov_base = const_cast<std::byte*>(header.data()),  // NOLINT(*-const-cast)
       .iov_len = header.size()},
      {.iov_base = const_cast<std::byte*>(part.data()),  // NOLINT(*-const-cast)
       .iov_len = part.size()},
  }};
  msghdr message{};
  message.msg_namelen = encodeSocketAddress(destination, datagram.deviceIndex, address);
  message.msg_name = &address;
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  return ::sendmsg(socket, &message, MSG_NOSIGNAL) >= 0 ? 0 : errno;
}

}  // namespace vnetd
