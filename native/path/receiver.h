// Receives datagrams in batches, several of one flow in one buffer where the kernel joins them
// (UDP_GRO).
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "host/socket-address.h"
#include "wire/bytes.h"
#include "wire/endpoint.h"

namespace vnetd {

// What one buffer holds: one datagram, or several of equal size (the last may be shorter), all
// from one source to one destination.
struct Received {
  MutableByteSpan octets;
  // Of each datagram but the last; octets.size() when there is one.
  std::size_t segmentBytes = 0;
  Endpoint source;
  IpAddress destination;
  std::uint32_t deviceIndex = 0;
  // The datagram was longer than the buffer.
  bool truncated = false;

  [[nodiscard]] std::size_t count() const {
    return segmentBytes == 0 ? 1 : (octets.size() + segmentBytes - 1) / segmentBytes;
  }
};

class Receiver {
 public:
  static constexpr std::size_t kBatch = 16;

  Receiver();

  // Up to kBatch buffers from a non-blocking socket; empty when there is nothing. Valid until the
  // next call.
  // HOT PATH: no allocation, no throw.
  std::span<const Received> receive(int socket);

  // Datagrams that the kernel dropped for lack of room, since it was asked last.
  std::uint64_t takeOverflow();

 private:
  static constexpr std::size_t kBufferBytes = 65'536;
  // IP(V6)_PKTINFO, UDP_GRO and SO_RXQ_OVFL.
  static constexpr std::size_t kControlBytes = CMSG_SPACE(sizeof(in6_pktinfo)) +
                                               CMSG_SPACE(sizeof(int)) +
                                               CMSG_SPACE(sizeof(std::uint32_t)) + 64;

  struct Slot {
    std::array<std::byte, kBufferBytes> octets;
    alignas(cmsghdr) std::array<std::byte, kControlBytes> control;
    SocketAddress source;
    iovec part;
  };

  void readControl(msghdr& message, Received& received);

  std::unique_ptr<std::array<Slot, kBatch>> slots_;
  std::array<mmsghdr, kBatch> messages_{};
  std::array<Received, kBatch> received_{};
  // The kernel counts per socket since it was opened; sockets are told apart by descriptor.
  struct Overflow {
    int socket = -1;
    std::uint32_t last = 0;
  };
  void noteOverflow(std::uint32_t total);
  std::array<Overflow, 8> overflows_{};
  int currentSocket_ = -1;
  std::uint64_t overflowed_ = 0;
};

}  // namespace vnetd
