// Sends frames given as hex and prints those that arrive.
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "commands.h"
#include "packet-socket.h"

namespace vnetd {

namespace {

void sendLines(LineInput& input, const PacketSocket& socket) {
  std::string line;
  while (input.next(line)) {
    const auto frame = decodeHex(line);
    if (!frame) {
      fail("not a frame in hex", line);
    }
    if (const int error = socket.send(*frame); error != 0) {
      writeOut("refused " + std::to_string(error) + "\n");
    }
  }
}

void printWaiting(const PacketSocket& socket) {
  Octets frame;
  std::uint64_t timeNs = 0;
  std::string text;
  while (socket.receive(frame, timeNs)) {
    text += std::to_string(timeNs) + " ";
    appendHex(frame, text);
    text += "\n";
  }
  writeOut(text);
}

}  // namespace

int runFrames(const Options& options) {
  const PacketSocket socket(options.word(0), {.promiscuous = options.has("promiscuous"),
                                              .outgoing = options.has("outgoing"),
                                              .virtioHeader = options.has("virtio")});
  writeOut("ready\n");
  LineInput input;
  while (true) {
    std::array<pollfd, 2> waits = {pollfd{STDIN_FILENO, POLLIN, 0},
                                   pollfd{socket.descriptor(), POLLIN, 0}};
    if (poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) {
      failErrno("poll");
    }
    if (waits[1].revents != 0) {
      printWaiting(socket);
    }
    if (waits[0].revents != 0) {
      if (!input.fill()) {
        return 0;
      }
      sendLines(input, socket);
    }
  }
}

}  // namespace vnetd
