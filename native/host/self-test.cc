#include "host/self-test.h"

#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/udp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <optional>

#include "host/failure.h"
#include "host/file-descriptor.h"
#include "host/tap.h"
#include "offload/virtio-header.h"
#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"

namespace vnetd {
namespace {

constexpr int kStepPatienceMs = 200;
constexpr int kChildPatienceMs = 2'000;
constexpr std::size_t kSegmentBytes = 200;
constexpr std::size_t kSegments = 2;
constexpr const char* kScratchName = "vnettest";

// What the child found, one octet through a pipe.
constexpr unsigned kTried = 1;
constexpr unsigned kTapTcp = 2;
constexpr unsigned kTapUdp = 4;
constexpr unsigned kUdpSegmentation = 8;
constexpr unsigned kUdpCoalescing = 16;

template <typename Address>
sockaddr* asSockaddr(Address& address) {
  return static_cast<sockaddr*>(static_cast<void*>(&address));
}

bool bringUp(const char* name) {
  const FileDescriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, name, sizeof request.ifr_name - 1);
  request.ifr_flags = IFF_UP;
  return ::ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0;
}

bool waitReadable(int descriptor) {
  pollfd one{.fd = descriptor, .events = POLLIN, .revents = 0};
  return ::poll(&one, 1, kStepPatienceMs) == 1;
}

// ---- UDP over loopback ------------------------------------------------------------------

using RunOctets = std::array<std::byte, kSegmentBytes * kSegments>;

RunOctets runPattern() {
  RunOctets octets{};
  for (std::size_t index = 0; index < octets.size(); ++index) {
    octets.at(index) = static_cast<std::byte>(index * 7 + 1);
  }
  return octets;
}

bool sendRun(int socket, sockaddr_in destination, RunOctets& octets) {
  iovec part{.iov_base = octets.data(), .iov_len = octets.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(std::uint16_t))> control{};
  msghdr message{};
  message.msg_name = &destination;
  message.msg_namelen = sizeof destination;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  const std::uint16_t segmentBytes = kSegmentBytes;
  header->cmsg_level = IPPROTO_UDP;
  header->cmsg_type = UDP_SEGMENT;
  header->cmsg_len = CMSG_LEN(sizeof segmentBytes);
  std::memcpy(CMSG_DATA(header), &segmentBytes, sizeof segmentBytes);
  return ::sendmsg(socket, &message, 0) == static_cast<ssize_t>(octets.size());
}

// Collects until the whole run is there, as one buffer or several.
bool receiveRun(int socket, const RunOctets& expected) {
  RunOctets got{};
  std::size_t bytes = 0;
  while (bytes < got.size() && waitReadable(socket)) {
    const ssize_t received = ::recv(socket, &got.at(bytes), got.size() - bytes, 0);
    if (received <= 0) {
      return false;
    }
    bytes += static_cast<std::size_t>(received);
  }
  return bytes == got.size() && got == expected;
}

bool tryRun(bool coalesce) {
  const FileDescriptor sender(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const FileDescriptor receiver(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (coalesce && ::setsockopt(receiver.get(), IPPROTO_UDP, UDP_GRO, &on, sizeof on) != 0) {
    return false;
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (::bind(receiver.get(), asSockaddr(address), sizeof address) != 0 ||
      ::getsockname(receiver.get(), asSockaddr(address), &length) != 0) {
    return false;
  }
  RunOctets octets = runPattern();
  return sendRun(sender.get(), address, octets) && receiveRun(receiver.get(), octets);
}

// ---- super-frames through a TAP ---------------------------------------------------------

constexpr std::size_t kTcpHeaders = kEthernetHeaderBytes + kIpv4HeaderBytes + kTcpHeaderBytes;
constexpr std::size_t kUdpHeaders = kEthernetHeaderBytes + kIpv4HeaderBytes + kUdpHeaderBytes;
constexpr std::size_t kFrameBytesMax = kTcpHeaders + kSegmentBytes * kSegments;

// A virtio header and a frame of two segments, as a guest gives it and as a TAP is written.
struct SuperFrame {
  VirtioHeader header;
  std::array<std::byte, kFrameBytesMax> octets{};
  std::size_t bytes = 0;
};

SuperFrame makeSuperFrame(bool isUdp) {
  SuperFrame frame;
  const std::size_t headers = isUdp ? kUdpHeaders : kTcpHeaders;
  frame.bytes = headers + kSegmentBytes * kSegments;
  frame.header = {
      .flags = kVirtioNeedsChecksum,
      .gsoType = isUdp ? kVirtioGsoUdpL4 : kVirtioGsoTcp4,
      .headerBytes = static_cast<std::uint16_t>(headers),
      .gsoSize = kSegmentBytes,
      .checksumStart = kEthernetHeaderBytes + kIpv4HeaderBytes,
      .checksumOffset = isUdp ? kUdpChecksumOffset : kTcpChecksumOffset,
  };
  const MutableByteSpan octets = MutableByteSpan(frame.octets).first(frame.bytes);
  for (std::size_t index = headers; index < octets.size(); ++index) {
    octets[index] = static_cast<std::byte>(index);
  }
  octets[0] = octets[6] = std::byte{0x02};
  octets[5] = std::byte{0x01};
  octets[11] = std::byte{0x02};
  storeU16(&octets[12], kEtherTypeIpv4);
  std::byte* const ip = &octets[kEthernetHeaderBytes];
  storeU8(ip, 0x45);
  storeU16(ip + 2, static_cast<std::uint16_t>(frame.bytes - kEthernetHeaderBytes));
  storeU16(ip + 6, 0x4000);
  storeU8(ip + 8, 64);
  storeU8(ip + 9, isUdp ? kIpProtocolUdp : kIpProtocolTcp);
  storeU32(ip + 12, 0xC0000201);  // 192.0.2.1 and .2: documentation addresses (RFC 5737).
  storeU32(ip + 16, 0xC0000202);
  storeU16(ip + 10, checksumOf(sumBytes(octets.subspan(kEthernetHeaderBytes, kIpv4HeaderBytes))));
  const auto l4Bytes =
      static_cast<std::uint16_t>(frame.bytes - kEthernetHeaderBytes - kIpv4HeaderBytes);
  std::byte* const l4 = ip + kIpv4HeaderBytes;
  storeU16(l4, 1);
  storeU16(l4 + 2, 2);
  if (isUdp) {
    storeU16(l4 + 4, l4Bytes);
  } else {
    storeU8(l4 + 12, 0x50);
    storeU8(l4 + 13, 0x10);
  }
  storeU16(l4 + frame.header.checksumOffset,
           foldSum(pseudoHeaderSum(octets.subspan(kEthernetHeaderBytes + 12, 8),
                                   isUdp ? kIpProtocolUdp : kIpProtocolTcp, l4Bytes)));
  return frame;
}

bool writeSuperFrame(int descriptor, SuperFrame& frame) {
  const std::array<iovec, 2> parts{{
      {.iov_base = &frame.header, .iov_len = sizeof frame.header},
      {.iov_base = frame.octets.data(), .iov_len = frame.bytes},
  }};
  return ::writev(descriptor, parts.data(), parts.size()) ==
         static_cast<ssize_t>(sizeof frame.header + frame.bytes);
}

// Reads until the same super-frame comes, whole; the kernel's own chatter passes by.
bool readSuperFrame(int descriptor, const SuperFrame& expected) {
  std::array<std::byte, kVirtioHeaderBytes + kFrameBytesMax> got{};
  while (waitReadable(descriptor)) {
    const ssize_t bytes = ::read(descriptor, got.data(), got.size());
    if (bytes != static_cast<ssize_t>(kVirtioHeaderBytes + expected.bytes)) {
      continue;
    }
    const VirtioHeader header = loadVirtioHeader(got);
    return header.gsoType == expected.header.gsoType && header.gsoSize == kSegmentBytes &&
           std::equal(
               got.begin() + kVirtioHeaderBytes,
               got.begin() + kVirtioHeaderBytes + static_cast<std::ptrdiff_t>(expected.bytes),
               expected.octets.begin());
  }
  return false;
}

FileDescriptor openPacketSocket() {
  FileDescriptor packet(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)));
  const int on = 1;
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(::if_nametoindex(kScratchName));
  if (::setsockopt(packet.get(), SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) != 0 ||
      ::bind(packet.get(), asSockaddr(address), sizeof address) != 0) {
    packet.reset();
  }
  return packet;
}

// Both ways: what the host's stack sends comes out of the TAP whole, and what is written to the
// TAP goes into the host's stack whole.
bool tryTap(int tap, int packet, bool isUdp) {
  SuperFrame frame = makeSuperFrame(isUdp);
  return writeSuperFrame(packet, frame) && readSuperFrame(tap, frame) &&
         writeSuperFrame(tap, frame) && readSuperFrame(packet, frame);
}

unsigned testTap() {
  const FileDescriptor tap(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  TapOffloads got;
  if (!tap.valid() ||
      attachTap(tap, kScratchName, {.checksumAndTcp = true, .udp = true}, got).failed() ||
      !bringUp(kScratchName)) {
    return 0;
  }
  const FileDescriptor packet = openPacketSocket();
  unsigned found = 0;
  if (packet.valid() && got.checksumAndTcp && tryTap(tap.get(), packet.get(), false)) {
    found |= kTapTcp;
  }
  if (packet.valid() && got.udp && tryTap(tap.get(), packet.get(), true)) {
    found |= kTapUdp;
  }
  return found;
}

[[noreturn]] void runChild(int result) {
  unsigned found = 0;
  if (::unshare(CLONE_NEWNET) == 0 && bringUp("lo")) {
    found = kTried | testTap();
    found |= tryRun(false) ? kUdpSegmentation : 0;
    found |= tryRun(true) ? kUdpCoalescing : 0;
  }
  const auto octet = static_cast<std::uint8_t>(found);
  [[maybe_unused]] const ssize_t written = ::write(result, &octet, sizeof octet);
  _exit(0);
}

// Nothing when the child had to be ended.
std::optional<unsigned> askChild() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return std::nullopt;
  }
  const FileDescriptor reader(ends[0]);
  FileDescriptor writer(ends[1]);
  const pid_t child = ::fork();
  if (child == 0) {
    runChild(writer.get());
  }
  writer.reset();
  std::optional<unsigned> found;
  pollfd one{.fd = reader.get(), .events = POLLIN, .revents = 0};
  std::uint8_t octet = 0;
  if (child > 0 && ::poll(&one, 1, kChildPatienceMs) == 1 &&
      ::read(reader.get(), &octet, sizeof octet) == 1) {
    found = octet;
  }
  if (child > 0) {
    if (!found) {
      ::kill(child, SIGKILL);
    }
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  return found;
}

}  // namespace

OffloadSupport testOffloads() {
  OffloadSupport support;
  const std::optional<unsigned> found = askChild();
  if (!found || (*found & kTried) == 0) {
    support.notes.emplace_back(
        "The offloads could not be tried at start (no network namespace of our own); they are "
        "switched off when the kernel refuses one");
    return support;
  }
  const auto judge = [&](unsigned bit, bool& works, const char* note) {
    works = (*found & bit) != 0;
    if (!works) {
      support.notes.emplace_back(note);
    }
  };
  judge(kTapTcp, support.tapTcp, "TAP offloads do not work here; frames are passed one by one");
  judge(kTapUdp, support.tapUdp, "UDP super-frames do not pass a TAP here (needs Linux 6.2)");
  judge(kUdpSegmentation, support.udpSegmentation,
        "UDP segmentation does not work here; datagrams are sent one by one");
  judge(kUdpCoalescing, support.udpCoalescing,
        "UDP coalescing does not work here; datagrams are received one by one");
  return support;
}

}  // namespace vnetd
