#include "path/receiver.h"

#include <linux/udp.h>
#include <netinet/in.h>

#include <cstring>
#include <utility>

namespace vnetd {
namespace {

template <typename Value>
Value controlValue(const cmsghdr& header) {
  Value value{};
  std::memcpy(&value, CMSG_DATA(&header), sizeof value);
  return value;
}

}  // namespace

Receiver::Receiver() : slots_(new std::array<Slot, kBatch>) {
  for (std::size_t index = 0; index < kBatch; ++index) {
    Slot& slot = slots_->at(index);
    slot.part = {.iov_base = slot.octets.data(), .iov_len = slot.octets.size()};
    msghdr& message = messages_.at(index).msg_hdr;
    message.msg_name = &slot.source;
    message.msg_iov = &slot.part;
    message.msg_iovlen = 1;
    message.msg_control = slot.control.data();
  }
}

// HOT PATH: no allocation, no throw.
std::span<const Received> Receiver::receive(int socket) {
  for (mmsghdr& message : messages_) {
    message.msg_hdr.msg_namelen = sizeof(SocketAddress);
    message.msg_hdr.msg_controllen = kControlBytes;
    message.msg_hdr.msg_flags = 0;
  }
  const int count = ::recvmmsg(socket, messages_.data(), kBatch, MSG_DONTWAIT, nullptr);
  if (count <= 0) {
    return {};
  }
  currentSocket_ = socket;
  for (std::size_t index = 0; index < static_cast<std::size_t>(count); ++index) {
    mmsghdr& message = messages_.at(index);
    Slot& slot = slots_->at(index);
    Received& received = received_.at(index);
    received = {.octets = MutableByteSpan(slot.octets).first(message.msg_len),
                .segmentBytes = message.msg_len,
                .source = decodeSocketAddress(slot.source),
                .destination = {},
                .deviceIndex = 0,
                .truncated = (message.msg_hdr.msg_flags & MSG_TRUNC) != 0};
    readControl(message.msg_hdr, received);
  }
  return std::span<const Received>(received_).first(static_cast<std::size_t>(count));
}

// HOT PATH: no allocation, no throw.
void Receiver::readControl(msghdr& message, Received& received) {
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_PKTINFO) {
      const auto info = controlValue<in_pktinfo>(*header);
      received.deviceIndex = static_cast<std::uint32_t>(info.ipi_ifindex);
      received.destination = IpAddress::fromIpv4(ntohl(info.ipi_addr.s_addr));
    } else if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_PKTINFO) {
      const auto info = controlValue<in6_pktinfo>(*header);
      received.deviceIndex = info.ipi6_ifindex;
      std::array<std::byte, kIpv6Bytes> octets{};
      std::memcpy(octets.data(), &info.ipi6_addr, sizeof octets);
      received.destination = IpAddress::fromIpv6(octets);
    } else if (header->cmsg_level == IPPROTO_UDP && header->cmsg_type == UDP_GRO) {
      const int segmentBytes = controlValue<int>(*header);
      if (segmentBytes > 0) {
        received.segmentBytes = static_cast<std::size_t>(segmentBytes);
      }
    } else if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SO_RXQ_OVFL) {
      noteOverflow(controlValue<std::uint32_t>(*header));
    }
  }
}

void Receiver::noteOverflow(std::uint32_t total) {
  for (Overflow& overflow : overflows_) {
    if (overflow.socket == -1) {
      overflow.socket = currentSocket_;
    }
    if (overflow.socket == currentSocket_) {
      overflowed_ += total - overflow.last;  // Wraps as the kernel's count does.
      overflow.last = total;
      return;
    }
  }
}

std::uint64_t Receiver::takeOverflow() { return std::exchange(overflowed_, 0); }

}  // namespace vnetd
