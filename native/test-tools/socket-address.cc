#include "socket-address.h"

#include <netdb.h>

#include <array>

#include "options.h"

namespace vnetd {

namespace {

constexpr int kBufferBytes = 32 * 1024 * 1024;

}  // namespace

SocketAddress SocketAddress::parse(const std::string& address, std::string_view port) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(address.c_str(), std::string(port).c_str(), &hints, &found) != 0) {
    fail("not an address and port", address + " " + std::string(port));
  }
  SocketAddress result;
  result.bytes = found->ai_addrlen;
  __builtin_memcpy(&result.storage, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  return result;
}

// The socket calls take every family's address through this one type.
const sockaddr* SocketAddress::get() const { return reinterpret_cast<const sockaddr*>(&storage); }
sockaddr* SocketAddress::get() { return reinterpret_cast<sockaddr*>(&storage); }

std::string SocketAddress::text() const {
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> service{};
  if (getnameinfo(get(), bytes, host.data(), host.size(), service.data(), service.size(),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    fail("getnameinfo", "the kernel gave a source that is no address");
  }
  return std::string(host.data()) + " " + service.data();
}

int openUdp(const SocketAddress& local, bool reuse) {
  const int descriptor = socket(local.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) {
    failErrno("socket");
  }
  const int one = 1;
  if (reuse && setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0) {
    failErrno("SO_REUSEADDR");
  }
  for (const int option : {SO_RCVBUFFORCE, SO_SNDBUFFORCE}) {
    if (setsockopt(descriptor, SOL_SOCKET, option, &kBufferBytes, sizeof kBufferBytes) != 0) {
      failErrno("socket buffer");
    }
  }
  if (bind(descriptor, local.get(), local.bytes) != 0) {
    failErrno("bind to " + local.text());
  }
  return descriptor;
}

}  // namespace vnetd
