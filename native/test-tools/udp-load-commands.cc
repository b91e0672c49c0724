// Numbered datagrams as fast as the machine sends them, the sink that counts them, and garbage.
// Every datagram begins with its number (u64, big-endian), so that the sink sees what is lost,
// doubled or out of order.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <random>
#include <vector>

#include "commands.h"
#include "hex-lines.h"
#include "load.h"
#include "socket-address.h"

namespace vnetd {

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr std::size_t kNumberBytes = 8;
constexpr std::size_t kDatagramBytesMax = 65'536;
// Numbers above this are counted but not looked for twice: 8 MB of marks.
constexpr std::uint64_t kNumbersMarkedMax = 64ULL * 1024 * 1024;

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
  sendLoad(descriptor, batch, readLoad(options), [&](std::uint64_t number, std::size_t index) {
    putNumber(number, batch.buffers[index]);
  });
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
  while (!isStopAsked() && Clock::now() - opened < limit &&
         (tally.received == 0 || Clock::now() - last < idle)) {
    pollfd wait{descriptor, POLLIN, 0};
    if (poll(&wait, 1, 10) <= 0) {
      continue;
    }
    const int count =
        recvmmsg(descriptor, batch.messages.data(), Batch::kCount, MSG_DONTWAIT, nullptr);
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
  sendLoad(descriptor, batch, readLoad(options), [&](std::uint64_t, std::size_t index) {
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
