#include "path/datagram-sender.h"

#include <poll.h>

#include <array>
#include <memory>
#include <numeric>
#include <vector>

#include "path/receiver.h"
#include "test/check.h"

namespace vnetd {
namespace {

using Octets = std::vector<std::byte>;

const IpAddress kLoopback = IpAddress::fromIpv4(0x7F000001);

// Two tunnel sockets on loopback: what one sends the other receives.
struct Pair {
  explicit Pair(bool coalescing = false, std::uint32_t mtuBytes = 1'500)
      : sender(sending, offloads),
        receiver(std::make_unique<Receiver>()),
        ok(open(sending, false) && open(receiving, coalescing)) {
    offloads.udpSegmentation = true;
    sender.setUnderlay(
        {.source4 = kLoopback, .source6 = {}, .deviceIndex = 0, .mtuBytes = mtuBytes});
    sockaddr_in bound{};
    socklen_t length = sizeof bound;
    ::getsockname(receiving.udp4.get(), static_cast<sockaddr*>(static_cast<void*>(&bound)),
                  &length);
    destination = Endpoint::from(kLoopback, ntohs(bound.sin_port));
  }

  static bool open(UnderlaySockets& sockets, bool coalescing) {
    // Port 0: any that is free.
    return !openUnderlaySockets(
                {.udpPort = 0, .bindAddress = "127.0.0.1", .coalescing = coalescing}, sockets)
                .failed();
  }

  void add(const Octets& first, const Octets& second = {}) {
    sender.add({.destination = destination,
                .first = first,
                .second = second,
                .counters = &counters,
                .encapsulation = Encapsulation::kUdp});
  }

  // Every datagram that arrives, cut where the kernel joined them.
  std::vector<Octets> receiveAll() {
    std::vector<Octets> all;
    pollfd one{.fd = receiving.udp4.get(), .events = POLLIN, .revents = 0};
    while (::poll(&one, 1, 100) == 1) {
      for (const Received& received : receiver->receive(receiving.udp4.get())) {
        buffers += 1;
        sources.push_back(received.source.ip());
        destinations.push_back(received.destination);
        for (ByteSpan rest = received.octets; !rest.empty();) {
          const std::size_t bytes = std::min(received.segmentBytes, rest.size());
          all.emplace_back(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(bytes));
          rest = rest.subspan(bytes);
        }
      }
    }
    return all;
  }

  UnderlaySockets sending;
  UnderlaySockets receiving;
  OffloadState offloads;
  DatagramSender sender;
  std::unique_ptr<Receiver> receiver;
  CounterBlock counters;
  Endpoint destination;
  bool ok;
  int buffers = 0;
  std::vector<IpAddress> sources;
  std::vector<IpAddress> destinations;
};

Octets octetsOf(std::size_t size, int seed) {
  Octets octets(size);
  for (std::size_t index = 0; index < size; ++index) {
    octets[index] = static_cast<std::byte>(static_cast<int>(index) * 3 + seed);
  }
  return octets;
}

TEST("datagrams of any sizes arrive as they are, in order, with or without segmentation") {
  const std::array<std::size_t, 14> sizes{100,   100,   100, 60,  100, 1,  1,
                                          1'400, 1'400, 700, 700, 701, 60, 60};
  for (const bool segmentation : {true, false}) {
    for (const bool coalescing : {true, false}) {
      Pair pair(coalescing);
      REQUIRE(pair.ok);
      pair.offloads.udpSegmentation = segmentation;
      std::vector<Octets> sent;
      for (std::size_t index = 0; index < sizes.size(); ++index) {
        sent.push_back(octetsOf(sizes[index], static_cast<int>(index)));
      }
      for (const Octets& octets : sent) {
        pair.add(octets);
      }
      pair.sender.flush();
      CHECK(pair.receiveAll() == sent);
      CHECK_EQ(pair.counters.read(Counter::kOutboundDatagrams), sizes.size());
      CHECK_EQ(pair.counters.read(Counter::kOutboundDatagramBytes),
               std::accumulate(sizes.begin(), sizes.end(), std::size_t{0}));
      CHECK_EQ(pair.counters.read(Counter::kDropSendFailed), 0U);
    }
  }
}

TEST("a datagram of two parts arrives as one, also inside a run") {
  Pair pair;
  REQUIRE(pair.ok);
  std::vector<Octets> firsts;
  std::vector<Octets> seconds;
  for (int index = 0; index < 130; ++index) {  // More than two runs.
    firsts.push_back(octetsOf(76, index));
    seconds.push_back(octetsOf(1'300, index + 1));
  }
  for (std::size_t index = 0; index < firsts.size(); ++index) {
    pair.add(firsts[index], seconds[index]);
  }
  pair.sender.flush();
  const std::vector<Octets> received = pair.receiveAll();
  REQUIRE(received.size() == firsts.size());
  for (std::size_t index = 0; index < firsts.size(); ++index) {
    Octets whole = firsts[index];
    whole.insert(whole.end(), seconds[index].begin(), seconds[index].end());
    CHECK(received[index] == whole);
  }
}

TEST("equal datagrams leave as one run, which the kernel hands over joined") {
  Pair pair(true);
  REQUIRE(pair.ok);
  REQUIRE(pair.receiving.coalescing);
  const Octets octets = octetsOf(1'000, 1);
  for (int index = 0; index < 40; ++index) {
    pair.add(octets);
  }
  pair.sender.flush();
  CHECK_EQ(pair.receiveAll().size(), 40U);
  CHECK_EQ(pair.buffers, 1);
}

TEST("what the path MTU does not hold is fragmented, counted, and arrives") {
  Pair pair(false, 1'280);
  REQUIRE(pair.ok);
  const Octets large = octetsOf(1'400, 1);
  for (int index = 0; index < 3; ++index) {
    pair.add(large);
  }
  pair.sender.flush();
  CHECK(pair.receiveAll() == std::vector<Octets>(3, large));
  CHECK_EQ(pair.counters.read(Counter::kFragmentedOut), 3U);
}

TEST("what a narrower path does not hold is cut to it, and arrives whole") {
  Pair pair;
  REQUIRE(pair.ok);
  pair.sender.setUnderlay({.source4 = kLoopback,
                           .source6 = {},
                           .deviceIndex = 0,
                           .mtuBytes = 1'500,
                           .udpPort = 1'798,
                           .paths = {{.host = kLoopback, .mtuBytes = 576}}});
  const Octets large = octetsOf(1'000, 1);
  const Octets rest = octetsOf(400, 2);
  pair.add(large, rest);
  pair.add(large);
  const Octets small = octetsOf(500, 3);
  pair.add(small);
  pair.add(small);
  pair.sender.flush();
  Octets whole = large;
  whole.insert(whole.end(), rest.begin(), rest.end());
  CHECK(pair.receiveAll() == std::vector<Octets>({whole, large, small, small}));
  CHECK_EQ(pair.counters.read(Counter::kFragmentedOut), 2U);
  CHECK_EQ(pair.counters.read(Counter::kOutboundDatagrams), 4U);
}

TEST("source and destination address are told to the receiver") {
  Pair pair;
  REQUIRE(pair.ok);
  const Octets octets = octetsOf(50, 1);
  pair.add(octets);
  pair.sender.flush();
  CHECK_EQ(pair.receiveAll().size(), 1U);
  CHECK(pair.sources == std::vector<IpAddress>{kLoopback});
  CHECK(pair.destinations == std::vector<IpAddress>{kLoopback});
}

TEST("without an address of ours nothing is sent, and it is counted") {
  Pair pair;
  REQUIRE(pair.ok);
  pair.sender.setUnderlay({});
  const Octets octets = octetsOf(50, 1);
  pair.add(octets);
  pair.add(octets);
  pair.sender.flush();
  CHECK(pair.receiveAll().empty());
  CHECK_EQ(pair.counters.read(Counter::kDropNoUnderlay), 2U);
}

TEST("a run that the kernel refuses is sent one by one, and segmentation is given up in the end") {
  Pair pair;
  REQUIRE(pair.ok);
  // Loopback's MTU is 65,536; a run of such segments is more than UDP takes (EINVAL, EMSGSIZE).
  pair.sender.setUnderlay(
      {.source4 = kLoopback, .source6 = {}, .deviceIndex = 0, .mtuBytes = 65'536});
  const int device = 1;
  REQUIRE(::setsockopt(pair.sending.udp4.get(), IPPROTO_IP, IP_MTU_DISCOVER, &device,
                       sizeof device) == 0);
  // The kernel refuses every run on a socket whose checksums are off (EIO, udp_send_skb).
  const int one = 1;
  REQUIRE(::setsockopt(pair.sending.udp4.get(), SOL_SOCKET, SO_NO_CHECK, &one, sizeof one) == 0);
  const Octets octets = octetsOf(500, 1);
  for (int round = 0; round < 20; ++round) {
    pair.add(octets);
    pair.add(octets);
    pair.sender.flush();
  }
  CHECK_EQ(pair.receiveAll().size(), 40U);
  CHECK_EQ(pair.counters.read(Counter::kOutboundDatagrams), 40U);
  CHECK_EQ(pair.counters.read(Counter::kDropSendFailed), 0U);
  CHECK(!pair.offloads.udpSegmentation);
}

// A path that is narrower than what is sent refuses every run; others must not pay for it.
TEST("refused runs of datagrams that not every path takes do not end segmentation") {
  Pair pair;
  REQUIRE(pair.ok);
  const int one = 1;
  REQUIRE(::setsockopt(pair.sending.udp4.get(), SOL_SOCKET, SO_NO_CHECK, &one, sizeof one) == 0);
  const Octets octets = octetsOf(1'400, 1);
  for (int round = 0; round < 20; ++round) {
    pair.add(octets);
    pair.add(octets);
    pair.sender.flush();
  }
  CHECK_EQ(pair.receiveAll().size(), 40U);
  CHECK(pair.offloads.udpSegmentation);
}

}  // namespace
}  // namespace vnetd

VNETD_TEST_MAIN()
