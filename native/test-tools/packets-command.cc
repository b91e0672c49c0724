// Sends IPv4 packets with the header they are given: for spoofed sources and broken headers.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "commands.h"
#include "hex-lines.h"
#include "load.h"

namespace vnetd {

namespace {

constexpr std::size_t kHeaderBytes = 20;
constexpr std::size_t kDestinationAt = 16;

struct Packet {
  Octets octets;
  sockaddr_in target{};
};

Packet parsePacket(const std::string& line) {
  auto octets = decodeHex(line);
  if (!octets || octets->size() < kHeaderBytes) {
    fail("not an IPv4 packet in hex", line);
  }
  Packet packet{.octets = std::move(*octets)};
  packet.target.sin_family = AF_INET;
  std::memcpy(&packet.target.sin_addr, packet.octets.data() + kDestinationAt,
              sizeof packet.target.sin_addr);
  return packet;
}

// Headers come with the packets: any source, any nonsense.
int openRaw() {
  const int descriptor = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
  if (descriptor < 0) {
    failErrno("socket(SOCK_RAW)");
  }
  return descriptor;
}

void sendPacket(int descriptor, const Packet& packet) {
  const void* const target = &packet.target;
  if (sendto(descriptor, packet.octets.data(), packet.octets.size(), 0,
             static_cast<const sockaddr*>(target), sizeof packet.target) < 0) {
    writeOut("refused " + std::to_string(errno) + "\n");
  }
}

}  // namespace

int runPackets(const Options& options) {
  const int descriptor = openRaw();
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
      sendPacket(descriptor, parsePacket(line));
    }
  }
  close(descriptor);
  return 0;
}

int runPacketLoad(const Options& options) {
  stopOnSignals();
  std::vector<Packet> packets;
  LineInput input;
  std::string line;
  while (input.fill()) {
    while (input.next(line)) {
      packets.push_back(parsePacket(line));
    }
  }
  if (packets.empty()) {
    fail("packet-load", "no packet came on standard input");
  }
  const int descriptor = openRaw();
  writeOut("ready\n");
  Batch batch(0);
  sendLoad(descriptor, batch, readLoad(options), [&](std::uint64_t number, std::size_t index) {
    Packet& packet = packets[number % packets.size()];
    batch.parts.at(index) = {packet.octets.data(), packet.octets.size()};
    batch.messages.at(index).msg_hdr.msg_name = &packet.target;
    batch.messages.at(index).msg_hdr.msg_namelen = sizeof packet.target;
  });
  close(descriptor);
  return 0;
}

}  // namespace vnetd
