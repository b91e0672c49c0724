// Joins two devices as a bridge would, and loses, doubles, delays or cuts on the way. The kernel's
// netem is not everywhere; this is, and its dice are seeded.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <random>

#include "commands.h"
#include "packet-socket.h"

namespace vnetd {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMacBytes = 6;
constexpr std::uint64_t kReorderDelayUsMax = 5'000;

struct Held {
  Octets frame;
  std::size_t side;
};

class Relay {
 public:
  Relay(const std::string& first, const std::string& second, std::uint64_t seed)
      : sockets_{PacketSocket(first, {.promiscuous = true}),
                 PacketSocket(second, {.promiscuous = true})},
        dice_(seed) {}

  int run() {
    writeOut("ready\n");
    while (true) {
      std::array<pollfd, 3> waits = {pollfd{STDIN_FILENO, POLLIN, 0},
                                     pollfd{sockets_[0].descriptor(), POLLIN, 0},
                                     pollfd{sockets_[1].descriptor(), POLLIN, 0}};
      // Held frames are due within milliseconds: a millisecond is fine enough.
      if (poll(waits.data(), waits.size(), held_.empty() ? -1 : 1) < 0 && errno != EINTR) {
        failErrno("poll");
      }
      for (const std::size_t side : {0U, 1U}) {
        if (waits[side + 1].revents != 0) {
          forwardFrom(side);
        }
      }
      releaseDue();
      if (waits[0].revents != 0 && !obey()) {
        return 0;
      }
    }
  }

 private:
  bool obey() {
    if (!input_.fill()) {
      return false;
    }
    std::string line;
    while (input_.next(line)) {
      order(splitWords(line));
    }
    return true;
  }

  void order(const std::vector<std::string_view>& words) {
    const std::string_view verb = words.empty() ? "" : words[0];
    if (verb == "cut" || verb == "join") {
      cut_ = verb == "cut";
    } else if (verb == "stats") {
      writeOut("stats " + std::to_string(forwarded_) + " " + std::to_string(lost_) + " " +
               std::to_string(duplicated_) + " " + std::to_string(reordered_) + "\n");
    } else if (words.size() == 2 && chances_.contains(verb)) {
      chances_.find(verb)->second = std::strtoull(std::string(words[1]).c_str(), nullptr, 10);
    } else {
      fail("no such order", verb);
    }
  }

  bool happens(std::string_view what) { return dice_() % 100 < chances_.find(what)->second; }

  // What both ends know to be on the same side stays there, as on a bridge.
  bool staysOnSide(const Octets& frame, std::size_t side) {
    Mac destination{};
    Mac source{};
    std::memcpy(destination.data(), frame.data(), kMacBytes);
    std::memcpy(source.data(), frame.data() + kMacBytes, kMacBytes);
    sides_[source] = side;
    const auto known = sides_.find(destination);
    return known != sides_.end() && known->second == side;
  }

  void forwardFrom(std::size_t side) {
    Octets frame;
    std::uint64_t timeNs = 0;
    while (sockets_.at(side).receive(frame, timeNs)) {
      if (frame.size() < 2 * kMacBytes || staysOnSide(frame, side)) {
        continue;
      }
      if (cut_ || happens("loss")) {
        ++lost_;
        continue;
      }
      const std::size_t other = 1 - side;
      if (happens("duplicate")) {
        ++duplicated_;
        transmit(frame, other);
      }
      if (happens("reorder")) {
        ++reordered_;
        const auto delay = std::chrono::microseconds(1 + dice_() % kReorderDelayUsMax);
        held_.emplace(Clock::now() + delay, Held{frame, other});
        continue;
      }
      transmit(frame, other);
    }
  }

  void releaseDue() {
    while (!held_.empty() && held_.begin()->first <= Clock::now()) {
      transmit(held_.begin()->second.frame, held_.begin()->second.side);
      held_.erase(held_.begin());
    }
  }

  void transmit(const Octets& frame, std::size_t side) {
    // A full queue is one more loss on the way.
    if (sockets_.at(side).send(frame) == 0) {
      ++forwarded_;
    } else {
      ++lost_;
    }
  }

  using Mac = std::array<std::byte, kMacBytes>;

  std::array<PacketSocket, 2> sockets_;
  LineInput input_;
  std::mt19937_64 dice_;
  std::map<std::string_view, std::uint64_t> chances_ = {
      {"loss", 0}, {"duplicate", 0}, {"reorder", 0}};
  std::map<Mac, std::size_t> sides_;
  std::multimap<Clock::time_point, Held> held_;
  bool cut_ = false;
  std::uint64_t forwarded_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t duplicated_ = 0;
  std::uint64_t reordered_ = 0;
};

}  // namespace

int runRelay(const Options& options) {
  return Relay(options.word(0), options.word(1), options.number("seed", 1)).run();
}

}  // namespace vnetd
