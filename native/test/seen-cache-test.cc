#include "tables/seen-cache.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "tables/keyed-hash.h"
#include "test/check.h"

namespace vnetd {
namespace {

constexpr std::uint64_t kHash = 0x1122334455667788;
constexpr HashKey kKey{.first = 0x0123456789ABCDEF, .second = 0xFEDCBA9876543210};

TEST("ten identical broadcasts in ten milliseconds by one way are ten frames") {
  for (const Way way : {Way::segment(), Way::peer(0), Way::peer(65'533)}) {
    SeenCache cache;
    int admitted = 0;
    for (std::uint64_t i = 0; i < 10; ++i) {
      admitted += cache.admit(kHash, way, 5'000 + i) ? 1 : 0;
    }
    CHECK_EQ(admitted, 10);
  }
}

TEST("copies by a second way are duplicates, in whatever order they come") {
  SeenCache cache;
  int admitted = 0;
  for (std::uint64_t i = 0; i < 10; ++i) {
    admitted += cache.admit(kHash, Way::peer(1), 1'000 + i) ? 1 : 0;
    admitted += cache.admit(kHash, Way::peer(2), 1'000 + i) ? 1 : 0;
  }
  CHECK_EQ(admitted, 10);
  SeenCache late;
  admitted = 0;
  for (int i = 0; i < 10; ++i) {
    admitted += late.admit(kHash, Way::peer(1), 1'000) ? 1 : 0;
  }
  for (int i = 0; i < 10; ++i) {
    admitted += late.admit(kHash, Way::peer(2), 1'400) ? 1 : 0;
  }
  CHECK_EQ(admitted, 10);
}

TEST("what one way loses the other makes up for") {
  SeenCache cache;
  int admitted = 0;
  for (std::uint64_t i = 0; i < 10; ++i) {
    if (i != 3 && i != 4) {
      admitted += cache.admit(kHash, Way::peer(1), 1'000 + i) ? 1 : 0;
    }
    admitted += cache.admit(kHash, Way::peer(2), 1'000 + i) ? 1 : 0;
  }
  CHECK_EQ(admitted, 10);
}

TEST("other messages are other messages") {
  SeenCache cache;
  CHECK(cache.admit(1, Way::peer(1), 0));
  CHECK(cache.admit(2, Way::peer(2), 0));
  CHECK(!cache.admit(1, Way::peer(2), 0));
}

TEST("a message repeated every second arrives once each time, by two ways, for a minute") {
  SeenCache cache;
  // The second way is 1 ms behind: the windows' cut must not fall between the two.
  for (std::uint64_t second = 0; second < 60; ++second) {
    for (const std::uint64_t phase : {0U, 1U}) {
      const Way way = phase == 0 ? Way::peer(1) : Way::peer(2);
      CHECK_EQ(cache.admit(kHash, way, 1'000 * second + phase), phase == 0);
    }
  }
}

TEST("a count lost on one way is forgiven within two windows") {
  SeenCache cache;
  // Way 1 loses five copies, then way 2 fails for good.
  for (std::uint64_t i = 0; i < 10; ++i) {
    if (i >= 5) {
      static_cast<void>(cache.admit(kHash, Way::peer(1), 10 * i));
    }
    static_cast<void>(cache.admit(kHash, Way::peer(2), 10 * i));
  }
  int lost = 0;
  for (std::uint64_t nowMs = 100; nowMs < 10'000; nowMs += 500) {
    lost += cache.admit(kHash, Way::peer(1), nowMs) ? 0 : 1;
  }
  CHECK(lost <= 5);
  CHECK(cache.admit(kHash, Way::peer(1), 10'000));
}

TEST("a re-emission is a duplicate within 100 ms of a delivery, and new afterwards") {
  SeenCache cache;
  CHECK(cache.admit(kHash, Way::peer(1), 1'000));
  CHECK(!cache.admit(kHash, Way::reemission(), 1'001));
  CHECK(!cache.admit(kHash, Way::reemission(), 1'099));
  CHECK(cache.admit(kHash, Way::reemission(), 1'100));
  SeenCache other;
  CHECK(other.admit(kHash, Way::reemission(), 1'000));
  CHECK(!other.admit(kHash, Way::reemission(), 1'001));
  CHECK(!other.admit(kHash, Way::peer(1), 1'002));
  CHECK(other.admit(kHash, Way::peer(1), 1'003));
}

TEST("more ways than a slot counts deliver nothing twice") {
  SeenCache cache;
  int admitted = 0;
  for (std::uint16_t peer = 0; peer < 100; ++peer) {
    admitted += cache.admit(kHash, Way::peer(peer), 1'000) ? 1 : 0;
  }
  CHECK_EQ(admitted, 1);
}

TEST("a flood of other messages does not grow it, and expired slots are taken first") {
  SeenCache cache;
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    CHECK(cache.admit(hashBits(kKey, i), Way::peer(1), i / 100));
  }
  // The youngest are still known: 8,192 slots, of which sets fill unevenly.
  int known = 0;
  for (std::uint64_t i = 99'000; i < 100'000; ++i) {
    known += cache.admit(hashBits(kKey, i), Way::peer(2), 1'000) ? 0 : 1;
  }
  CHECK(known > 900);
}

TEST("a message has another hash for another source, port, octet or length") {
  const HashKey key = kKey;
  const Endpoint source = Endpoint::from(IpAddress::fromIpv4(0x0A000001), 1798);
  Endpoint other = source;
  other.udpPort = 1799;
  std::vector<std::byte> message(100, std::byte{7});
  std::map<std::uint64_t, std::string> hashes;
  const auto add = [&](const Endpoint& from, const std::string& what) {
    CHECK(hashes.emplace(hashMessage(key, from, message), what).second);
  };
  add(source, "as it is");
  add(other, "other port");
  add(Endpoint::from(IpAddress::fromIpv4(0x0A000002), 1798), "other host");
  for (std::size_t i = 0; i < message.size(); ++i) {
    message[i] ^= std::byte{1};
    add(source, "flipped " + std::to_string(i));
    message[i] ^= std::byte{1};
  }
  for (std::size_t length = 0; length < 100; ++length) {
    message.assign(length, std::byte{0});
    add(source, "zeros " + std::to_string(length));
  }
  CHECK(hashMessage(HashKey::random(), source, message) !=
        hashMessage(HashKey::random(), source, message));
}

// Gateways as wire.md has them, without their sockets: each hears its segment and its peers, and
// asks its cache before it delivers, forwards or re-emits.
class Topology {
 public:
  std::size_t addGateway(std::size_t segment) {
    gateways_.push_back({.segment = segment, .cache = {}, .peers = {}});
    return gateways_.size() - 1;
  }

  void joinPeers(std::size_t left, std::size_t right) {
    gateways_[left].peers.push_back(right);
    gateways_[right].peers.push_back(left);
  }

  // A host on `segment` that is no gateway multicasts the message once; everything that follows
  // happens a millisecond a step.
  void multicast(std::size_t segment, std::uint64_t nowMs) {
    emit(segment, gateways_.size(), segment, nowMs);
    while (!events_.empty()) {
      const Event event = events_.front();
      events_.pop_front();
      ++copies_;
      receive(event);
      if (copies_ > 10'000) {
        return;
      }
    }
  }

  [[nodiscard]] std::size_t copies() const { return copies_; }
  [[nodiscard]] std::size_t delivered(std::size_t gateway) const {
    return gateways_[gateway].delivered;
  }

 private:
  struct Gateway {
    std::size_t segment;
    SeenCache cache;
    std::vector<std::size_t> peers;
    std::size_t delivered = 0;
  };
  struct Event {
    std::size_t to;
    bool isForward;
    std::size_t from;
    std::size_t origin;
    std::uint64_t nowMs;
  };

  void emit(std::size_t segment, std::size_t except, std::size_t origin, std::uint64_t nowMs) {
    for (std::size_t i = 0; i < gateways_.size(); ++i) {
      if (i != except && gateways_[i].segment == segment) {
        events_.push_back(
            {.to = i, .isForward = false, .from = except, .origin = origin, .nowMs = nowMs});
      }
    }
  }

  void receive(const Event& event) {
    Gateway& gateway = gateways_[event.to];
    const bool isOnLink = event.origin == gateway.segment;
    Way way = isOnLink ? Way::segment() : Way::reemission();
    if (event.isForward) {
      const auto at = std::ranges::find(gateway.peers, event.from) - gateway.peers.begin();
      way = Way::peer(static_cast<std::uint16_t>(at));
    }
    if (!gateway.cache.admit(kHash, way, event.nowMs)) {
      return;
    }
    ++gateway.delivered;
    if (event.isForward) {
      emit(gateway.segment, event.to, event.origin, event.nowMs + 1);
    }
    // Even a gateway that passes on everything it takes, re-emissions too, makes no storm.
    for (const std::size_t peer : gateway.peers) {
      if (!event.isForward || peer != event.from) {
        events_.push_back({.to = peer,
                           .isForward = true,
                           .from = event.to,
                           .origin = event.origin,
                           .nowMs = event.nowMs + 1});
      }
    }
  }

  std::vector<Gateway> gateways_;
  std::deque<Event> events_;
  std::size_t copies_ = 0;
};

TEST("two segments joined by two peer pairs deliver each of ten messages once") {
  Topology topology;
  const std::size_t a1 = topology.addGateway(0);
  const std::size_t a2 = topology.addGateway(0);
  const std::size_t b1 = topology.addGateway(1);
  const std::size_t b2 = topology.addGateway(1);
  topology.joinPeers(a1, b1);
  topology.joinPeers(a2, b2);
  for (std::uint64_t i = 0; i < 10; ++i) {
    topology.multicast(0, 1'000 + i);
  }
  for (const std::size_t gateway : {a1, a2, b1, b2}) {
    CHECK_EQ(topology.delivered(gateway), 10U);
  }
  CHECK(topology.copies() <= 100);
}

TEST("a ring of three segments delivers each of ten messages once") {
  Topology topology;
  const std::size_t a = topology.addGateway(0);
  const std::size_t b = topology.addGateway(1);
  const std::size_t c = topology.addGateway(2);
  topology.joinPeers(a, b);
  topology.joinPeers(b, c);
  topology.joinPeers(c, a);
  for (std::uint64_t i = 0; i < 10; ++i) {
    topology.multicast(0, 1'000 + i);
  }
  for (const std::size_t gateway : {a, b, c}) {
    CHECK_EQ(topology.delivered(gateway), 10U);
  }
  CHECK(topology.copies() <= 70);
}

TEST("a full mesh of five segments with two gateways each is bounded") {
  Topology topology;
  std::vector<std::size_t> gateways;
  for (std::size_t i = 0; i < 10; ++i) {
    gateways.push_back(topology.addGateway(i / 2));
  }
  for (const std::size_t left : gateways) {
    for (const std::size_t right : gateways) {
      if (left < right && left / 2 != right / 2) {
        topology.joinPeers(left, right);
      }
    }
  }
  topology.multicast(0, 1'000);
  for (const std::size_t gateway : gateways) {
    CHECK_EQ(topology.delivered(gateway), 1U);
  }
  CHECK(topology.copies() < 200);
}

}  // namespace
}  // namespace vnetd

VNETD_TEST_MAIN()
