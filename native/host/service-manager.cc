#include "host/service-manager.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace vnetd {
namespace {

// SD_LISTEN_FDS_START
constexpr int kFirstInherited = 3;

std::string_view environment(const char* name) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): no thread exists yet.
  const char* const value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

long environmentNumber(const char* name) {
  const std::string_view text = environment(name);
  long number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() ? number : -1;
}

}  // namespace

Failure takeListener(FileDescriptor& listener) {
  const long count = environmentNumber("LISTEN_FDS");
  // The process that the variables are meant for: they are inherited, the descriptor may not be.
  if (count != 1 || environmentNumber("LISTEN_PID") != ::getpid()) {
    return {.error = ENOTCONN,
            .message =
                "There is no socket of systemd's (--socket systemd); start the unit "
                "vnet-dp.service, or name a path"};
  }
  int listens = 0;
  socklen_t length = sizeof listens;
  if (::getsockopt(kFirstInherited, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) != 0) {
    return failureOf("Cannot use the socket of systemd's");
  }
  if (listens == 0 || ::fcntl(kFirstInherited, F_SETFD, FD_CLOEXEC) != 0 ||
      ::fcntl(kFirstInherited, F_SETFL, O_NONBLOCK) != 0) {
    return failureOf("Cannot listen on the socket of systemd's", EINVAL);
  }
  listener.reset(kFirstInherited);
  return noFailure();
}

Failure ServiceManager::open() {
  const std::string_view path = environment("NOTIFY_SOCKET");
  if (path.empty()) {
    return noFailure();
  }
  if (path.size() >= sizeof address_.sun_path || (path[0] != '/' && path[0] != '@')) {
    return failureOf("Cannot use NOTIFY_SOCKET " + std::string(path), EINVAL);
  }
  address_.sun_family = AF_UNIX;
  std::memcpy(address_.sun_path, path.data(), path.size());
  if (path[0] == '@') {
    address_.sun_path[0] = '\0';  // The abstract namespace (unix(7)).
  }
  addressBytes_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  socket_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return socket_.valid() ? noFailure() : failureOf("Cannot make the socket to systemd");
}

void ServiceManager::tellReady() const { tell("READY=1\nSTATUS=carries frames"); }

void ServiceManager::tellStopping() const { tell("STOPPING=1"); }

void ServiceManager::tellAlive() const { tell("WATCHDOG=1"); }

// One that does not hear restarts us: there is nothing better to do about it here.
void ServiceManager::tell(std::string_view state) const {
  if (socket_.valid()) {
    ::sendto(socket_.get(), state.data(), state.size(), MSG_NOSIGNAL,
             static_cast<const sockaddr*>(static_cast<const void*>(&address_)), addressBytes_);
  }
}

}  // namespace vnetd
