// vn-notify: one call of vnetd's control API for hotplug scripts and shells' completion, in well
// below a millisecond of its own. It is linked statically, reads no configuration and starts
// nothing.
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "host/file-descriptor.h"
#include "notify/call.h"

namespace {

using vnetd::FileDescriptor;
using vnetd::notify::Call;
using vnetd::notify::Reply;

constexpr int kExitFailed = 1;
constexpr int kExitWrong = 2;
constexpr int kExitNoDaemon = 3;
constexpr std::size_t kBytesMax = 8UL * 1'024 * 1'024;

constexpr std::string_view kTooLate =
    "vn-notify: no answer from vnetd within the deadline: what was asked for may not be done\n";

// Whatever the program waits for: standard input, room in the daemon's queue, or its answer.
void endTooLate(int /*signal*/) {
  // Nothing else can be done when this cannot be written either.
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kTooLate.data(), kTooLate.size());
  _exit(kExitFailed);
}

void startDeadline(std::uint32_t deadlineMs) {
  struct sigaction action {};
  action.sa_handler = endTooLate;
  sigaction(SIGALRM, &action, nullptr);
  // Whoever starts hotplug scripts may have it blocked, and that is inherited. One thread.
  sigset_t alarm{};
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  sigprocmask(SIG_UNBLOCK, &alarm, nullptr);  // NOLINT(concurrency-mt-unsafe)
  itimerval timer{};
  timer.it_value.tv_sec = static_cast<time_t>(deadlineMs / 1'000);
  timer.it_value.tv_usec = static_cast<suseconds_t>((deadlineMs % 1'000) * 1'000);
  setitimer(ITIMER_REAL, &timer, nullptr);
}

int fail(int status, const std::string& message) {
  std::fprintf(stderr, "vn-notify: %s\n", message.c_str());
  return status;
}

std::string reason() {
  // One thread.
  return std::strerror(errno);  // NOLINT(concurrency-mt-unsafe)
}

// All that comes until the end. False: it cannot be read, or is above kBytesMax (errno is 0).
bool readAll(int descriptor, std::string& bytes) {
  std::array<char, 65'536> buffer{};
  for (;;) {
    const ssize_t count = read(descriptor, buffer.data(), buffer.size());
    if (count == 0) {
      return true;
    }
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      return false;
    }
    bytes.append(buffer.data(), static_cast<std::size_t>(count));
    if (bytes.size() > kBytesMax) {
      errno = 0;
      return false;
    }
  }
}

bool sendAll(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = send(descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno != EINTR) {
      return false;
    }
    bytes.remove_prefix(count < 0 ? 0 : static_cast<std::size_t>(count));
  }
  return true;
}

std::string socketPath(const Call& call) {
  // One thread.
  const char* named = std::getenv("VNETD_RUN_DIR");  // NOLINT(concurrency-mt-unsafe)
  std::string directory = call.runDirectory;
  if (directory.empty()) {
    directory = named != nullptr && *named != '\0' ? named : "/run/vnetd";
  }
  return directory + "/vnetd.sock";
}

bool connectTo(const std::string& path, int descriptor) {
  sockaddr_un address{};
  if (path.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return false;
  }
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

int report(const Reply& reply, bool isGet) {
  if (reply.status >= 200 && reply.status < 300) {
    const std::size_t bytes = isGet ? reply.body.size() : 0;
    const bool written = std::fwrite(reply.body.data(), 1, bytes, stdout) == bytes;
    return written && std::fflush(stdout) == 0 ? 0 : fail(kExitFailed, "cannot print: " + reason());
  }
  const std::string message = reply.message.empty() ? "vnetd gave no whole answer" : reply.message;
  return fail(reply.status == 400 ? kExitWrong : kExitFailed, message);
}

int perform(Call& call) {
  startDeadline(call.deadlineMs);
  if (!call.inputKey.empty()) {
    std::string input;
    if (!readAll(STDIN_FILENO, input)) {
      return fail(kExitWrong, "cannot read standard input: " +
                                  (errno == 0 ? std::string("it is too long") : reason()));
    }
    vnetd::notify::appendField(call.fields, call.inputKey, input);
  }
  const std::string path = socketPath(call);
  const FileDescriptor connection(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!connection.valid() || !connectTo(path, connection.get())) {
    return fail(kExitNoDaemon, "cannot reach vnetd: " + reason() + " (" + path + ")");
  }
  std::string answer;
  // A daemon that refuses early ends its reading: what it says is read all the same.
  const bool sent = sendAll(connection.get(), vnetd::notify::formatRequest(call));
  if (!readAll(connection.get(), answer) || (!sent && answer.empty())) {
    return fail(kExitFailed, "vnetd gave no answer: " + reason());
  }
  return report(vnetd::notify::parseReply(answer), call.isGet);
}

}  // namespace

int main(int argc, char* argv[]) {
  const std::span<const char* const> words(argv, static_cast<std::size_t>(argc));
  Call call = vnetd::notify::parseCall(words.subspan(argc > 0 ? 1 : 0));
  switch (call.kind) {
    case Call::Kind::kHelp:
      std::fputs(vnetd::notify::usageText(), stdout);
      return 0;
    case Call::Kind::kWrong:
      return fail(kExitWrong, call.message);
    case Call::Kind::kCall:
      return perform(call);
  }
}
