// The kernel as judge of the coalescer: what we merge and write to one TAP goes through a bridge
// to a second TAP that takes no super-frames, so the kernel must cut it up and complete every
// checksum. What arrives must be, octet for octet, what was fed.
//
//   coalescer -> TAP in (virtio headers) -> bridge -> TAP out (plain) -> compare
//
// It all lies in a network namespace of its own, which ends with the process. Skipped with the
// reason where the machine does not allow that.
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

#include "offload/coalesce.h"
#include "test/check.h"
#include "test/frame-model.h"

namespace vnetd {

namespace {

using test::buildFrame;
using test::Bytes;
using test::FrameSpec;

constexpr const char* kBridge = "br0";
constexpr int kArrivalTimeoutMs = 2000;
constexpr int kFrameCount = 20;

struct Bench {
  int tapIn = -1;
  int tapOut = -1;
  bool hasUdpOffload = false;
  std::string skipReason;  // empty when the rest is usable
};

ifreq requestFor(const char* name) {
  ifreq request{};
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  return request;
}

int openTap(const char* name, int flags) {
  const int tap = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  ifreq request = requestFor(name);
  request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | flags);
  if (tap >= 0 && ::ioctl(tap, TUNSETIFF, &request) != 0) {
    ::close(tap);
    return -1;
  }
  return tap;
}

bool raise(int control, const char* name) {
  ifreq request = requestFor(name);
  request.ifr_flags = IFF_UP;
  return ::ioctl(control, SIOCSIFFLAGS, &request) == 0;
}

bool joinBridge(int control, const char* name) {
  ifreq request = requestFor(kBridge);
  request.ifr_ifindex = static_cast<int>(::if_nametoindex(name));
  return ::ioctl(control, SIOCBRADDIF, &request) == 0 && raise(control, name);
}

Bench makeBench() {
  Bench bench;
  if (::unshare(CLONE_NEWNET) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
    bench.skipReason = std::string("no network namespace, errno ") + std::to_string(errno);
    return bench;
  }
  const int control = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  bench.tapIn = openTap("in", IFF_VNET_HDR);
  bench.tapOut = openTap("out", 0);
  if (control < 0 || bench.tapIn < 0 || bench.tapOut < 0) {
    bench.skipReason = std::string("no TAP device, errno ") + std::to_string(errno);
    return bench;
  }
  constexpr unsigned kTcpOffloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
  constexpr unsigned kUdpOffloads = 0x20U | 0x40U;  // USO4, USO6; older headers lack the names
  bench.hasUdpOffload = ::ioctl(bench.tapIn, TUNSETOFFLOAD, kTcpOffloads | kUdpOffloads) == 0;
  if (::ioctl(control, SIOCBRADDBR, kBridge) != 0 || !joinBridge(control, "in") ||
      !joinBridge(control, "out") || !raise(control, kBridge)) {
    bench.skipReason = std::string("no bridge, errno ") + std::to_string(errno);
  }
  ::close(control);
  return bench;
}

// The kernel's own chatter on new interfaces comes from other addresses.
bool isFromModel(const Bytes& frame, const Bytes& fed) {
  return frame.size() >= 14 && std::equal(frame.begin(), frame.begin() + 12, fed.begin());
}

std::vector<Bytes> readArrivals(const Bench& bench, const std::vector<Bytes>& fed) {
  std::vector<Bytes> arrived;
  Bytes buffer(70000);
  pollfd waiting{bench.tapOut, POLLIN, 0};
  while (arrived.size() < fed.size() && ::poll(&waiting, 1, kArrivalTimeoutMs) > 0) {
    const ssize_t got = ::read(bench.tapOut, buffer.data(), buffer.size());
    if (got <= 0) {
      continue;
    }
    const Bytes frame(buffer.begin(), buffer.begin() + got);
    if (isFromModel(frame, fed[0])) {
      arrived.push_back(frame);
    }
  }
  return arrived;
}

std::vector<Bytes> streamOf(const FrameSpec& first) {
  std::vector<Bytes> frames;
  FrameSpec spec = first;
  for (int count = 1; count <= kFrameCount; ++count) {
    if (count == kFrameCount) {
      spec.payload.resize(321);
      spec.tcpFlags |= 0x08;
    }
    frames.push_back(buildFrame(spec));
    spec.sequence += static_cast<std::uint32_t>(spec.payload.size());
    spec.ipId = static_cast<std::uint16_t>(spec.ipId + 1U);
  }
  return frames;
}

void checkStream(const Bench& bench, const FrameSpec& spec) {
  static Coalescer coalescer({.tcp = true, .udp = bench.hasUdpOffload, .hashSeed = 3});
  const std::vector<Bytes> fed = streamOf(spec);
  std::vector<Bytes> buffers = fed;
  for (Bytes& buffer : buffers) {
    coalescer.add(nullptr, buffer);
  }
  coalescer.flush([&](const CoalescedFrame& output) {
    const ssize_t written =
        ::writev(bench.tapIn, output.parts.data(), static_cast<int>(output.parts.size()));
    CHECK_EQ(written, output.frameBytes + kVirtioHeaderBytes);
  });
  const std::vector<Bytes> arrived = readArrivals(bench, fed);
  CHECK_EQ(arrived.size(), fed.size());
  CHECK(arrived == fed);
}

TEST("the kernel cuts every kind of super-frame back into the frames that were merged") {
  const Bench bench = makeBench();
  if (!bench.skipReason.empty()) {
    std::printf("skipped: %s\n", bench.skipReason.c_str());
    return;
  }
  for (FrameSpec spec : test::specVariants(1000)) {
    spec.ipId = 0xFFF8;
    checkStream(bench, spec);
    spec.ipFlags = 0;
    spec.tcpOptions.assign(12, std::byte{1});
    checkStream(bench, spec);
  }
}

}  // namespace

}  // namespace vnetd

VNETD_TEST_MAIN()
