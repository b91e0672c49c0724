// A UDP endpoint, and optionally a second socket bound to a multicast group, as the original
// daemon has them: one for what is sent to this host, one for what is sent to the group.
#include <arpa/inet.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>

#include "commands.h"
#include "hex-lines.h"
#include "socket-address.h"

namespace vnetd {

namespace {

constexpr std::size_t kDatagramBytesMax = 65'536;

void printWaiting(int descriptor, std::string_view via) {
  Octets datagram(kDatagramBytesMax);
  std::string text;
  while (true) {
    SocketAddress source;
    const ssize_t count = recvfrom(descriptor, datagram.data(), datagram.size(), MSG_DONTWAIT,
                                   source.get(), &source.bytes);
    if (count < 0) {
      // An ICMP error of an earlier datagram is reported here too: it is no datagram.
      if (errno == ECONNREFUSED || errno == EHOSTUNREACH || errno == ENETUNREACH) {
        continue;
      }
      break;
    }
    timespec now{};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    text += std::to_string(now.tv_sec * 1'000'000'000 + now.tv_nsec) + " " + std::string(via) +
            " " + source.text() + " ";
    appendHex(std::span(datagram).first(static_cast<std::size_t>(count)), text);
    text += "\n";
  }
  writeOut(text);
}

void sendLine(int descriptor, const std::string& line) {
  const auto words = splitWords(line);
  const auto datagram =
      words.size() == 2 ? Octets{} : decodeHex(words.size() == 3 ? words[2] : "?");
  if (!datagram) {
    fail("not `ADDRESS PORT HEX`", line);
  }
  const auto target = SocketAddress::parse(std::string(words[0]), words[1]);
  if (sendto(descriptor, datagram->data(), datagram->size(), 0, target.get(), target.bytes) < 0) {
    writeOut("refused " + std::to_string(errno) + "\n");
  }
}

// The group's socket is bound to the group itself, so that it takes nothing else.
int openGroup(const std::string& group, const std::string& port, const std::string& local) {
  const int descriptor = openUdp(SocketAddress::parse(group, port), true);
  ip_mreq request{};
  if (inet_pton(AF_INET, group.c_str(), &request.imr_multiaddr) != 1 ||
      inet_pton(AF_INET, local.c_str(), &request.imr_interface) != 1) {
    fail("not IPv4", group + " " + local);
  }
  if (setsockopt(descriptor, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request) != 0) {
    failErrno("IP_ADD_MEMBERSHIP");
  }
  return descriptor;
}

void sendGroupFrom(int descriptor, const std::string& local) {
  in_addr address{};
  if (inet_pton(AF_INET, local.c_str(), &address) == 1 &&
      setsockopt(descriptor, IPPROTO_IP, IP_MULTICAST_IF, &address, sizeof address) != 0) {
    failErrno("IP_MULTICAST_IF");
  }
}

}  // namespace

int runDatagrams(const Options& options) {
  const std::string& local = options.word(0);
  const std::string& port = options.word(1);
  const std::string group = options.text("group", "");
  const int descriptor =
      openUdp(SocketAddress::parse(local, port), !group.empty() || options.has("reuse"));
  sendGroupFrom(descriptor, local);
  const int groupDescriptor = group.empty() ? -1 : openGroup(group, port, local);
  writeOut("ready\n");
  LineInput input;
  std::string line;
  while (true) {
    // poll ignores a negative descriptor.
    std::array<pollfd, 3> waits = {pollfd{STDIN_FILENO, POLLIN, 0}, pollfd{descriptor, POLLIN, 0},
                                   pollfd{groupDescriptor, POLLIN, 0}};
    if (poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) {
      failErrno("poll");
    }
    if (waits[1].revents != 0) {
      printWaiting(descriptor, "host");
    }
    if (waits[2].revents != 0) {
      printWaiting(groupDescriptor, "group");
    }
    if (waits[0].revents == 0) {
      continue;
    }
    if (!input.fill()) {
      return 0;
    }
    while (input.next(line)) {
      sendLine(descriptor, line);
    }
  }
}

}  // namespace vnetd
