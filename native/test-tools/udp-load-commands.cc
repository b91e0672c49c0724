// Numbered datagrams as fast as the machine sends them, the sink that counts them, and garbage.
// Every datagram begins with its number (u64, big-endian), so that the sink sees what is lost,
// doubled or out of order.
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <random>
#include <thread>
#include <vector>

#include "commands.h"
#include "hex-lines.h"
#include "socket-address.h"

namespace vnetd {

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr std::size_t kBatch = 64;
constexpr std::size_t kNumberBytes = 8;
constexpr std::size_t kDatagramBytesMax = 65'536;
// Numbers above this are counted but not looked for twice: 8 MB of marks.
constexpr std::uint64_t kNumbersMarkedMax = 64ULL * 1024 * 1024;

// A signal handler reaches nothing but a global.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables)
volatile std::sig_atomic_t stopAsked = 0;

void askStop(int /*signal*/) { stopAsked = 1; }

void stopOnSignals() {
  struct sigaction action {};
  action.sa_handler = askStop;
  (void)sigaction(SIGTERM, &action, nullptr);
  (void)sigaction(SIGINT, &action, nullptr);
}

void putNumber(std::uint64_t number, Octets& datagram) {
  for (std::size_t index = 0; index < kNumberBytes && index < datagram.size(); ++index) {
    datagram[index] = static_cast<std::byte>((number >> (8 * (kNumberBytes - 1 - index))) & 255U);
  }
}

std::uint64_t getNumber(std::span<const std::byte> datagram) {
  std::uint64_t number = 0;
  for (const std::byte octet : datagram.first(kNumberBytes)) {
    number = number << 8 | std::to_integer<std::uint64_t>(octet);
  }
  return number;
}

// `count` messages over `buffers`, which have to outlive it.
struct Batch {
  explicit Batch(std::size_t bytes) : buffers(kBatch, Octets(bytes)) {
    for (std::size_t index = 0; index < kBatch; ++index) {
      parts[index] = {buffers[index].data(), buffers[index].size()};
      messages[index].msg_hdr.msg_iov = &parts[index];
      messages[index].msg_hdr.msg_iovlen = 1;
    }
  }
  std::vector<Octets> buffers;
  std::array<iovec, kBatch> parts{};
  std::array<mmsghdr, kBatch> messages{};
};

// Sleeps to keep `sent` datagrams at `rate` a second; no rate, no sleep.
void pace(Clock::time_point start, std::uint64_t sent, std::uint64_t rate) {
  if (rate != 0) {
    std::this_thread::sleep_until(
        start + std::chrono::duration_cast<Clock::duration>(
                    Seconds(static_cast<double>(sent) / static_cast<double>(rate))));
  }
}

// How many to send at once: at a rate, no more than 2 ms worth, so that the flow stays smooth.
std::size_t batchFor(std::uint64_t rate) {
  return rate == 0 ? kBatch : std::clamp<std::size_t>(rate / 500, 1, kBatch);
}

struct Load {
  std::uint64_t rate;
  std::uint64_t countMax;
  double seconds;
};

// Sends what `fill(number, batch index)` prepares until the load is done; the number sent.
template <typename Fill>
std::uint64_t sendLoad(int descriptor, Batch& batch, const Load& load, Fill fill) {
  const auto start = Clock::now();
  std::uint64_t sent = 0;
  while (stopAsked == 0 && sent < load.countMax &&
         Seconds(Clock::now() - start).count() < load.seconds) {
    const auto count = std::min<std::uint64_t>(batchFor(load.rate), load.countMax - sent);
    for (std::size_t index = 0; index < count; ++index) {
      fill(sent + index, index);
    }
    const int done =
        sendmmsg(descriptor, batch.messages.data(), static_cast<unsigned int>(count), 0);
    if (done > 0) {
      sent += static_cast<std::uint64_t>(done);
    } else if (errno != EINTR && errno != ENOBUFS && errno != EAGAIN && errno != ECONNREFUSED) {
      failErrno("sendmmsg");
    }
    pace(start, sent, load.rate);
  }
  const double elapsed = Seconds(Clock::now() - start).count();
  writeOut("{\"sent\":" + std::to_string(sent) + ",\"seconds\":" + std::to_string(elapsed) + "}\n");
  return sent;
}

Load readLoad(const Options& options) {
  return {.rate = options.number("rate", 0),
          .countMax = options.number("count", UINT64_MAX),
          .seconds = static_cast<double>(options.number("seconds", 86'400))};
}

int openConnected(const Options& options) {
  const auto target = SocketAddress::parse(options.word(0), options.word(1));
  const auto local = SocketAddress::parse(target.family() == AF_INET ? "0.0.0.0" : "::",
                                          options.text("bind-port", "0"));
  const int descriptor = openUdp(local, false);
  if (connect(descriptor, target.get(), target.bytes) != 0) {
    failErrno("connect");
  }
  return descriptor;
}

struct Tally {
  std::uint64_t received = 0;
  std::uint64_t bytes = 0;
  std::uint64_t duplicated = 0;
  std::uint64_t outOfOrder = 0;
  std::uint64_t highest = 0;
  std::vector<bool> seen;

  void count(std::span<const std::byte> datagram) {
    ++received;
    bytes += datagram.size();
    if (datagram.size() < kNumberBytes) {
      return;
    }
    const std::uint64_t number = getNumber(datagram);
    outOfOrder += received > 1 && number < highest ? 1U : 0U;
    highest = std::max(highest, number);
    if (number >= kNumbersMarkedMax) {
      return;
    }
    if (number >= seen.size()) {
      seen.resize(std::max<std::size_t>(number + 1, seen.size() * 2));
    }
    duplicated += seen[number] ? 1U : 0U;
    seen[number] = true;
  }

  [[nodiscard]] std::string json(double seconds) const {
    return "{\"received\":" + std::to_string(received) + ",\"bytes\":" + std::to_string(bytes) +
           ",\"duplicated\":" + std::to_string(duplicated) +
           ",\"outOfOrder\":" + std::to_string(outOfOrder) +
           ",\"highest\":" + std::to_string(highest) + ",\"seconds\":" + std::to_string(seconds) +
           "}\n";
  }
};

}  // namespace

int runUdpSend(const Options& options) {
  stopOnSignals();
  const int descriptor = openConnected(options);
  Batch batch(options.number("size", 64));
  writeOut("ready\n");
  (void)sendLoad(
      descriptor, batch, readLoad(options),
      [&](std::uint64_t number, std::size_t index) { putNumber(number, batch.buffers[index]); });
  close(descriptor);
  return 0;
}

int runUdpSink(const Options& options) {
  stopOnSignals();
  const int descriptor =
      openUdp(SocketAddress::parse(options.text("bind", "0.0.0.0"), options.word(0)), false);
  const auto idle = std::chrono::milliseconds(options.number("idle-ms", 86'400'000));
  const Seconds limit(static_cast<double>(options.number("seconds", 86'400)));
  writeOut("ready\n");
  Batch batch(kDatagramBytesMax);
  Tally tally;
  const auto opened = Clock::now();
  Clock::time_point first{};
  Clock::time_point last{};
  while (stopAsked == 0 && Clock::now() - opened < limit &&
         (tally.received == 0 || Clock::now() - last < idle)) {
    pollfd wait{descriptor, POLLIN, 0};
    if (poll(&wait, 1, 10) <= 0) {
      continue;
    }
    const int count = recvmmsg(descriptor, batch.messages.data(), kBatch, MSG_DONTWAIT, nullptr);
    if (count <= 0) {
      continue;
    }
    last = Clock::now();
    first = tally.received == 0 ? last : first;
    for (std::size_t index = 0; index < static_cast<std::size_t>(count); ++index) {
      tally.count(std::span(batch.buffers[index]).first(batch.messages[index].msg_len));
    }
  }
  writeOut(tally.json(Seconds(last - first).count()));
  close(descriptor);
  return 0;
}

int runGarbage(const Options& options) {
  stopOnSignals();
  const int descriptor = openConnected(options);
  constexpr std::size_t kLengthMax = 1'400;
  // The message ids and opcodes that a receiver looks at first, so that half of the garbage gets
  // past the first test.
  constexpr std::array<std::uint8_t, 6> kIds = {0, 1, 2, 3, 4, 16};
  Batch batch(kLengthMax);
  std::mt19937_64 dice(options.number("seed", 1));
  writeOut("ready\n");
  (void)sendLoad(descriptor, batch, readLoad(options), [&](std::uint64_t, std::size_t index) {
    const std::size_t length = dice() % (dice() % 2 == 0 ? 100 : kLengthMax);
    Octets& datagram = batch.buffers[index];
    for (std::size_t at = 0; at < std::min<std::size_t>(length, 128); ++at) {
      datagram[at] = static_cast<std::byte>(dice() & 255U);
    }
    if (dice() % 2 == 0) {
      datagram[0] = std::byte{0};
      datagram[1] = static_cast<std::byte>(kIds.at(dice() % kIds.size()));
      datagram[2] = std::byte{0};
      datagram[3] = static_cast<std::byte>(dice() % 3);
      datagram[5] = std::byte{0x40};
    }
    batch.parts.at(index).iov_len = length;
  });
  close(descriptor);
  return 0;
}

}  // namespace vnetd
