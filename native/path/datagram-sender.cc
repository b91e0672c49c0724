#include "path/datagram-sender.h"

#include <linux/udp.h>
#include <poll.h>

#include <cerrno>
#include <cstring>

namespace vnetd {
namespace {

constexpr std::size_t kUdpOverhead4 = 20 + 8;
constexpr std::size_t kUdpOverhead6 = 40 + 8;

// A full send buffer empties at line rate; longer than this means the device is stuck, and
// other vnets' frames wait behind.
constexpr int kSendPatienceMs = 5;

// EINVAL and EMSGSIZE mean a path MTU below what vnetd knows, unless the datagrams are of a size
// that every path takes (RFC 791 §3.1, RFC 8200 §5). So many of those in a row with no success
// between them mean that the kernel cannot do it.
constexpr int kRefusalsMax = 16;
constexpr std::size_t kEveryPath4 = 576;
constexpr std::size_t kEveryPath6 = 1'280;

// As the kernel's own: to a host anywhere.
constexpr std::uint8_t kUnicastTtl = 64;

std::size_t overheadOf(const Endpoint& destination) {
  return destination.family == kFamilyIpv6 ? kUdpOverhead6 : kUdpOverhead4;
}

iovec toIovec(ByteSpan bytes) {
  // sendmsg() only reads, but iovec has no const.
  return {.iov_base = const_cast<std::byte*>(bytes.data()),  // NOLINT(*-const-cast)
          .iov_len = bytes.size()};
}

cmsghdr* headerAt(std::byte* at) { return static_cast<cmsghdr*>(static_cast<void*>(at)); }

// Sends once more after a full buffer has room again. 0, or the errno.
int sendPatiently(int socket, const msghdr& message) {
  for (int attempt = 0;; ++attempt) {
    if (::sendmsg(socket, &message, MSG_NOSIGNAL) >= 0) {
      return 0;
    }
    if (errno == EINTR) {
      continue;
    }
    if (errno != EAGAIN || attempt > 0) {
      return errno;
    }
    pollfd room{.fd = socket, .events = POLLOUT, .revents = 0};
    ::poll(&room, 1, kSendPatienceMs);
  }
}

}  // namespace

DatagramSender::DatagramSender(const UnderlaySockets& sockets, OffloadState& offloads)
    : sockets_(sockets), offloads_(offloads), rawSender_(sockets) {}

void DatagramSender::setUnderlay(const SenderUnderlay& underlay) {
  underlay_ = underlay;
  prepareControl4(underlay.source4);
  prepareControl6(underlay.source6);
}

void DatagramSender::prepareControl4(const IpAddress& source) {
  control4_ = {};
  if (source.isNone()) {
    return;
  }
  // Interface 0: routing chooses it for a host, IP_MULTICAST_IF for the group.
  in_pktinfo info{};
  info.ipi_spec_dst = toInAddr(source);
  cmsghdr* const header = headerAt(control4_.octets.data());
  header->cmsg_level = IPPROTO_IP;
  header->cmsg_type = IP_PKTINFO;
  header->cmsg_len = CMSG_LEN(sizeof info);
  std::memcpy(CMSG_DATA(header), &info, sizeof info);
  control4_.sourceBytes = CMSG_SPACE(sizeof info);
}

void DatagramSender::prepareControl6(const IpAddress& source) {
  control6_ = {};
  if (source.isNone()) {
    return;
  }
  in6_pktinfo info{};
  info.ipi6_addr = toIn6Addr(source);
  cmsghdr* const header = headerAt(control6_.octets.data());
  header->cmsg_level = IPPROTO_IPV6;
  header->cmsg_type = IPV6_PKTINFO;
  header->cmsg_len = CMSG_LEN(sizeof info);
  std::memcpy(CMSG_DATA(header), &info, sizeof info);
  control6_.sourceBytes = CMSG_SPACE(sizeof info);
}

bool DatagramSender::segmentationOf(std::uint8_t family) const {
  return family != kFamilyNone && offloads_.udpSegmentation.load(std::memory_order_relaxed);
}

int DatagramSender::socketOf(const Run& run) const {
  const bool isIpv6 = run.destination.family == kFamilyIpv6;
  if (run.encapsulation == Encapsulation::kEtherip) {
    return isIpv6 ? sockets_.etherip6.get() : sockets_.etherip4.get();
  }
  return isIpv6 ? sockets_.udp6.get() : sockets_.udp4.get();
}

// HOT PATH: no allocation, no throw.
bool DatagramSender::fitsRun(const Datagram& datagram, std::size_t bytes) const {
  return run_.count != 0 && !run_.closed && run_.count < kSegmentsMax &&
         bytes <= run_.segmentBytes && run_.totalBytes + bytes <= kRunBytesMax &&
         run_.counters == datagram.counters && run_.encapsulation == Encapsulation::kUdp &&
         datagram.encapsulation == Encapsulation::kUdp &&
         run_.destination == datagram.destination && segmentationOf(run_.destination.family);
}

// HOT PATH: no allocation, no throw.
void DatagramSender::append(const Datagram& datagram, std::size_t bytes) {
  partStart_.at(run_.count) = static_cast<std::uint16_t>(partCount_);
  parts_.at(partCount_++) = toIovec(datagram.first);
  if (!datagram.second.empty()) {
    parts_.at(partCount_++) = toIovec(datagram.second);
  }
  ++run_.count;
  run_.totalBytes += bytes;
  run_.closed = run_.closed || bytes < run_.segmentBytes;
}

// HOT PATH: no allocation, no throw.
void DatagramSender::add(const Datagram& datagram) {
  const std::size_t bytes = datagram.size();
  if (fitsRun(datagram, bytes)) {
    append(datagram, bytes);
    return;
  }
  flush();
  run_ = {.destination = datagram.destination,
          .counters = datagram.counters,
          .encapsulation = datagram.encapsulation,
          .segmentBytes = bytes,
          .totalBytes = 0,
          .count = 0,
          .closed = false,
          .cutBytes = 0};
  append(datagram, bytes);
  const std::uint32_t mtuBytes = underlay_.mtuTo(datagram.destination.ip());
  if (bytes + overheadOf(datagram.destination) > mtuBytes) {
    // IP has to fragment it, and the kernel does not fragment what it segments.
    datagram.counters->add(Counter::kFragmentedOut);
    run_.closed = true;
    run_.cutBytes = mtuBytes < underlay_.mtuBytes ? mtuBytes : 0;
  }
}

// HOT PATH: no allocation, no throw.
void DatagramSender::flush() {
  if (run_.count != 0) {
    sendRun();
    run_.count = 0;
    partCount_ = 0;
  }
}

void DatagramSender::count(std::size_t datagrams, std::size_t bytes) const {
  run_.counters->add(Counter::kOutboundDatagrams, datagrams);
  run_.counters->add(Counter::kOutboundDatagramBytes, bytes);
}

// The kernel cuts to what it knows of the path, which may be nothing: the probes of the path MTU
// know better. False: not here, so let it try. HOT PATH: no allocation, no throw.
bool DatagramSender::sendCut() {
  const bool isIpv6 = run_.destination.family == kFamilyIpv6;
  const IpAddress& source = isIpv6 ? underlay_.source6 : underlay_.source4;
  if (run_.encapsulation != Encapsulation::kUdp || source.isNone()) {
    return false;
  }
  const ByteSpan first(static_cast<const std::byte*>(parts_[0].iov_base), parts_[0].iov_len);
  const ByteSpan second =
      partCount_ < 2
          ? ByteSpan()
          : ByteSpan(static_cast<const std::byte*>(parts_[1].iov_base), parts_[1].iov_len);
  const int error = rawSender_.send({.source = Endpoint::from(source, underlay_.udpPort),
                                     .destination = run_.destination,
                                     .first = first,
                                     .second = second,
                                     .ttl = kUnicastTtl,
                                     .deviceIndex = underlay_.deviceIndex,
                                     .mtuBytes = run_.cutBytes});
  if (error == 0) {
    count(1, run_.totalBytes);
  }
  return error == 0;
}

// HOT PATH: no allocation, no throw.
void DatagramSender::sendRun() {
  if (run_.cutBytes != 0 && sendCut()) {
    return;
  }
  const int socket = socketOf(run_);
  Control& control = run_.destination.family == kFamilyIpv6 ? control6_ : control4_;
  if (socket < 0 || control.sourceBytes == 0) {
    run_.counters->add(Counter::kDropNoUnderlay, run_.count);
    return;
  }
  Endpoint destination = run_.destination;
  if (run_.encapsulation == Encapsulation::kEtherip) {
    destination.udpPort = 0;  // A raw socket takes none (over IPv6 it would refuse one).
  }
  SocketAddress address{};
  msghdr message{};
  message.msg_namelen = encodeSocketAddress(destination, underlay_.deviceIndex, address);
  message.msg_name = &address;
  message.msg_iov = parts_.data();
  message.msg_iovlen = partCount_;
  message.msg_control = control.octets.data();
  message.msg_controllen = control.sourceBytes;
  if (run_.count > 1) {
    const auto segmentBytes = static_cast<std::uint16_t>(run_.segmentBytes);
    cmsghdr* const header = headerAt(control.octets.data() + control.sourceBytes);
    header->cmsg_level = IPPROTO_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof segmentBytes);
    std::memcpy(CMSG_DATA(header), &segmentBytes, sizeof segmentBytes);
    message.msg_controllen += CMSG_SPACE(sizeof segmentBytes);
  }
  const int error = sendPatiently(socket, message);
  if (error == 0) {
    refusals_ = run_.count > 1 ? 0 : refusals_;
    count(run_.count, run_.totalBytes);
  } else if (run_.count > 1 && (error == EIO || error == EINVAL || error == EMSGSIZE)) {
    noteRefusal(error);
    message.msg_controllen = control.sourceBytes;
    sendSingly(message, socket);
  } else {
    run_.counters->add(Counter::kDropSendFailed, run_.count);
  }
}

// EIO: the device cannot do it (kernels before 6.10 without checksum offload).
void DatagramSender::noteRefusal(int error) {
  const std::size_t everyPath = run_.destination.family == kFamilyIpv6 ? kEveryPath6 : kEveryPath4;
  refusals_ += run_.segmentBytes + overheadOf(run_.destination) <= everyPath ? 1 : 0;
  if (error == EIO || refusals_ >= kRefusalsMax) {
    offloads_.udpSegmentation.store(false, std::memory_order_relaxed);
  }
}

void DatagramSender::sendSingly(msghdr& message, int socket) {
  partStart_.at(run_.count) = static_cast<std::uint16_t>(partCount_);
  for (std::size_t index = 0; index < run_.count; ++index) {
    const std::size_t start = partStart_.at(index);
    const std::size_t end = partStart_.at(index + 1);
    message.msg_iov = &parts_.at(start);
    message.msg_iovlen = end - start;
    std::size_t bytes = 0;
    for (std::size_t part = start; part < end; ++part) {
      bytes += parts_.at(part).iov_len;
    }
    if (sendPatiently(socket, message) == 0) {
      count(1, bytes);
    } else {
      run_.counters->add(Counter::kDropSendFailed);
    }
  }
}

}  // namespace vnetd
