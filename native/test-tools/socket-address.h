// Socket addresses of both families, from text and back.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace vnetd {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t bytes = sizeof(sockaddr_storage);

  // Ends the program when the text is no address.
  static SocketAddress parse(const std::string& address, std::string_view port);

  [[nodiscard]] int family() const { return storage.ss_family; }
  [[nodiscard]] const sockaddr* get() const;
  [[nodiscard]] sockaddr* get();
  // `ADDRESS PORT`
  [[nodiscard]] std::string text() const;
};

// A bound UDP socket with large buffers.
int openUdp(const SocketAddress& local, bool reuse);

}  // namespace vnetd
