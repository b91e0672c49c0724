// Sends IPv4 packets with the header they are given: for spoofed sources and broken headers.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "commands.h"
#include "hex-lines.h"
#include "socket-address.h"

namespace vnetd {

namespace {

constexpr std::size_t kHeaderBytes = 20;
constexpr std::size_t kDestinationAt = 16;

void sendPacket(int descriptor, const std::string& line) {
  const auto packet = decodeHex(line);
  if (!packet || packet->size() < kHeaderBytes) {
    fail("not an IPv4 packet in hex", line);
  }
  SocketAddress target = SocketAddress::parse("0.0.0.0", "0");
  sockaddr_in address{};
  std::memcpy(&address, target.get(), sizeof address);
  std::memcpy(&address.sin_addr, packet->data() + kDestinationAt, sizeof address.sin_addr);
  std::memcpy(target.get(), &address, sizeof address);
  if (sendto(descriptor, packet->data(), packet->size(), 0, target.get(), target.bytes) < 0) {
    writeOut("refused " + std::to_string(errno) + "\n");
  }
}

}  // namespace

int runPackets(const Options& options) {
  const int descriptor = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
  if (descriptor < 0) {
    failErrno("socket(SOCK_RAW)");
  }
  const std::string local = options.text("multicast-from", "");
  in_addr address{};
  if (!local.empty() &&
      (inet_pton(AF_INET, local.c_str(), &address) != 1 ||
       setsockopt(descriptor, IPPROTO_IP, IP_MULTICAST_IF, &address, sizeof address) != 0)) {
    fail("--multicast-from", local);
  }
  writeOut("ready\n");
  LineInput input;
  std::string line;
  while (input.fill()) {
    while (input.next(line)) {
      sendPacket(descriptor, line);
    }
  }
  close(descriptor);
  return 0;
}

}  // namespace vnetd
