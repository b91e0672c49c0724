// Sealing and opening, held to test/vectors/esp.tsv and esp-published.tsv, which this code has not
// made.
#include "crypto/seal-key.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "crypto/libcrypto.h"
#include "crypto/open-key.h"
#include "crypto/suite-contexts.h"
#include "test/check.h"
#include "test/vector-table.h"
#include "wire/esp.h"

namespace vnetd {
namespace {

using test::parseHex;
using test::printHex;
using Octets = std::vector<std::byte>;

constexpr std::array kSuites{Suite::kAes128Gcm, Suite::kAes256Gcm, Suite::kHmacSha256,
                             Suite::kHmacSha1, Suite::kAes128CbcHmacSha1};
constexpr std::uint32_t kSpi = 0x10000042;
constexpr std::byte kUntouched{0xA5};

// Once in the process, before any test.
const bool kIsPrepared = !prepareLibcrypto().failed();

std::string hexOrDash(ByteSpan octets) { return octets.empty() ? "-" : printHex(octets); }

Octets countUp(std::size_t count, unsigned first = 0) {
  Octets octets(count);
  for (std::size_t i = 0; i < count; ++i) {
    octets[i] = static_cast<std::byte>(first + i);
  }
  return octets;
}

Octets keyOf(Suite suite) { return countUp(suiteSizes(suite).keyBytes, 0x30); }
SealKey sealKeyOf(Suite suite) { return *SealKey::make(suite, kSpi, keyOf(suite)); }
OpenKey openKeyOf(Suite suite) { return *OpenKey::make(suite, keyOf(suite)); }

Octets seal(SealKey& key, std::uint64_t counter, ByteSpan frame, std::uint16_t flags = 0) {
  Octets out(sealedFrameBytes(key.suite(), frame.size()));
  out.resize(key.sealFrame(counter, flags, frame, {}, out));
  return out;
}

const OpenedPacket* openedOf(const OpenOutcome& outcome) {
  return std::get_if<OpenedPacket>(&outcome);
}

bool isDrop(const OpenOutcome& outcome, OpenDrop reason) {
  const auto* const drop = std::get_if<OpenDrop>(&outcome);
  return drop != nullptr && *drop == reason;
}

std::string nameOf(OpenDrop drop) {
  switch (drop) {
    case OpenDrop::kLength:
      return "length";
    case OpenDrop::kCounter:
      return "counter";
    case OpenDrop::kIcv:
      return "icv";
    case OpenDrop::kPadding:
      return "padding";
    case OpenDrop::kNextHeader:
      return "next-header";
    case OpenDrop::kEtherip:
      return "etherip";
    case OpenDrop::kRuntFrame:
      return "runt-frame";
  }
  return "?";
}

std::string describe(const OpenOutcome& outcome) {
  const OpenedPacket* const opened = openedOf(outcome);
  if (opened == nullptr) {
    return nameOf(std::get<OpenDrop>(outcome));
  }
  std::array<char, 8> flags{};
  std::snprintf(flags.data(), flags.size(), "%03x", unsigned{opened->flags});
  return "open " + std::to_string(opened->nextHeader) + " " + flags.data() + " " +
         hexOrDash(opened->payload);
}

std::string expectedOf(const test::VectorRow& row) {
  if (row.at("outcome") != "open") {
    return row.at("outcome");
  }
  return "open " + row.at("nextHeader") + " " + row.at("flags") + " " + row.at("payload");
}

Suite suiteOf(const test::VectorRow& row) {
  return *suiteFromNumber(static_cast<std::uint8_t>(std::stoul(row.at("suite"))));
}

// The row's payload, sealed in two pieces that meet at `firstBytes`.
std::string sealRow(const test::VectorRow& row, std::size_t firstBytes) {
  const Suite suite = suiteOf(row);
  const auto spi = static_cast<std::uint32_t>(std::stoul(row.at("spi"), nullptr, 16));
  auto key = SealKey::make(suite, spi, parseHex(row.at("key")));
  const Octets payload = parseHex(row.at("payload"));
  const std::uint64_t counter = std::stoull(row.at("counter"));
  const auto nextHeader = static_cast<std::uint8_t>(std::stoul(row.at("nextHeader")));
  Octets out(sealedFrameBytes(suite, payload.size()), kUntouched);
  const ByteSpan whole(payload);
  firstBytes = std::min(firstBytes, payload.size());
  const std::size_t size =
      nextHeader == kNextHeaderEtherip
          ? key->sealFrame(counter,
                           static_cast<std::uint16_t>(std::stoul(row.at("flags"), nullptr, 16)),
                           whole.first(firstBytes), whole.subspan(firstBytes), out)
          : key->sealPayload(counter, nextHeader, whole, out);
  return printHex(ByteSpan(out).first(size));
}

TEST("libcrypto could be prepared") { CHECK(kIsPrepared); }

TEST("each vector opens as its row says, in place and into another buffer") {
  const auto rows = test::readVectors("esp.tsv");
  REQUIRE(rows.size() > 300);
  std::set<std::string> outcomes;
  for (const auto& row : rows) {
    Octets packet = parseHex(row.at("sealed"));
    const Octets before = packet;
    auto key = OpenKey::make(suiteOf(row), parseHex(row.at("key")));
    Octets out(packet.size());
    const std::string apart = describe(key->open(ByteSpan(packet), out));
    const bool isUnchanged = packet == before;
    const std::string inPlace = describe(key->open(MutableByteSpan(packet)));
    outcomes.insert(row.at("outcome"));
    if (inPlace != expectedOf(row) || apart != inPlace || !isUnchanged) {
      std::string what = row.at("name");
      what.append(": ").append(inPlace).append(", apart ").append(apart);
      test::reportFailure(__FILE__, __LINE__, what);
    }
  }
  CHECK_EQ(outcomes.size(), 8U);
}

TEST("each vector that has one form is sealed so, however the frame is cut in two") {
  std::size_t exactCount = 0;
  for (const auto& row : test::readVectors("esp.tsv")) {
    if (row.at("exact") != "yes") {
      continue;
    }
    ++exactCount;
    for (const std::size_t firstBytes : {0U, 1U, 13U, 14U, 16U, 30U, 54U, 66U, 74U, 100'000U}) {
      if (sealRow(row, firstBytes) != row.at("sealed")) {
        test::reportFailure(__FILE__, __LINE__,
                            row.at("name") + ", cut at " + std::to_string(firstBytes));
      }
    }
  }
  CHECK(exactCount > 150);
}

TEST("the packet counter of a vector is the one it was sealed with") {
  for (const auto& row : test::readVectors("esp.tsv")) {
    const auto counter = packetCounter(suiteOf(row), parseHex(row.at("sealed")));
    if (row.at("outcome") == "open") {
      CHECK(counter.has_value() && std::to_string(*counter) == row.at("counter"));
    }
    const bool hasNone = row.at("outcome") == "length" || row.at("outcome") == "counter";
    CHECK_EQ(counter.has_value(), !hasNone);
  }
}

TEST("what is published for the parts of each suite holds, in both directions") {
  const auto rows = test::readVectors("esp-published.tsv");
  REQUIRE(rows.size() >= 15);
  for (const auto& row : rows) {
    const Suite suite = suiteOf(row);
    const Octets key = parseHex(row.at("key"));
    const Octets iv = parseHex(row.at("iv"));
    const Octets aad = parseHex(row.at("aad"));
    const Octets clear = parseHex(row.at("clear"));
    const Octets icv = parseHex(row.at("icv"));
    Octets text = clear;
    Octets madeIcv(icv.size());
    auto sealing = SuiteContexts::make(suite, Direction::kSeal, key);
    auto opening = SuiteContexts::make(suite, Direction::kOpen, key);
    REQUIRE(sealing.has_value() && opening.has_value());
    if (suite == Suite::kHmacSha256 || suite == Suite::kHmacSha1) {
      CHECK(sealing->makeIcv(clear, madeIcv.data()));
      CHECK(opening->isIcv(clear, icv.data()));
    } else if (suite == Suite::kAes128CbcHmacSha1) {
      CHECK(sealing->sealCbc(iv.data(), text));
      CHECK_EQ(printHex(text), row.at("sealed"));
      CHECK(opening->openCbc(iv.data(), text, text.data()));
      CHECK_EQ(printHex(text), row.at("clear"));
    } else {
      CHECK(sealing->sealGcm(aad.data(), iv.data(), text, madeIcv.data()));
      CHECK_EQ(printHex(text), row.at("sealed"));
      CHECK(opening->openGcm(aad.data(), iv.data(), text, text.data(), icv.data()));
      CHECK_EQ(printHex(text), row.at("clear"));
    }
    CHECK_EQ(hexOrDash(madeIcv), row.at("icv"));
  }
}

TEST("every flipped bit of a packet is refused") {
  for (const Suite suite : kSuites) {
    SealKey sealing = sealKeyOf(suite);
    OpenKey opening = openKeyOf(suite);
    const Octets packet = seal(sealing, 0x01020304, countUp(300), kFlagGroup);
    for (std::size_t bit = 0; bit < packet.size() * 8; ++bit) {
      Octets flipped = packet;
      flipped[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
      const OpenOutcome outcome = opening.open(MutableByteSpan(flipped));
      if (!isDrop(outcome, OpenDrop::kIcv) && !isDrop(outcome, OpenDrop::kCounter)) {
        test::reportFailure(__FILE__, __LINE__, "bit " + std::to_string(bit));
      }
    }
    Octets untouched = packet;
    CHECK(openedOf(opening.open(MutableByteSpan(untouched))) != nullptr);
  }
}

TEST("a packet cut or lengthened to any other size is refused") {
  for (const Suite suite : kSuites) {
    SealKey sealing = sealKeyOf(suite);
    OpenKey opening = openKeyOf(suite);
    const Octets packet = seal(sealing, 1, countUp(98));
    for (std::size_t size = 0; size <= packet.size() + 64; ++size) {
      Octets cut = packet;
      cut.resize(size);
      CHECK_EQ(openedOf(opening.open(MutableByteSpan(cut))) != nullptr, size == packet.size());
    }
  }
}

TEST("each suite refuses what another suite or another key has sealed") {
  for (const Suite sealedWith : kSuites) {
    SealKey sealing = sealKeyOf(sealedWith);
    const Octets packet = seal(sealing, 1, countUp(106));
    for (const Suite openedWith : kSuites) {
      Octets copy = packet;
      OpenKey opening = openKeyOf(openedWith);
      CHECK_EQ(openedOf(opening.open(MutableByteSpan(copy))) != nullptr, openedWith == sealedWith);
    }
    for (std::size_t i = 0; i < suiteSizes(sealedWith).keyBytes; ++i) {
      Octets otherKey = keyOf(sealedWith);
      otherKey[i] ^= std::byte{1};
      Octets copy = packet;
      auto opening = OpenKey::make(sealedWith, otherKey);
      const bool isOpened = openedOf(opening->open(MutableByteSpan(copy))) != nullptr;
      // The key of CBC's IVs is only the sender's.
      const bool isIvKey = sealedWith == Suite::kAes128CbcHmacSha1 && i >= 16 && i < 32;
      const bool isCbcKey = sealedWith == Suite::kAes128CbcHmacSha1 && i < 16;
      CHECK_EQ(isOpened, isIvKey);
      CHECK(isOpened || isCbcKey || isDrop(opening->open(packet, copy), OpenDrop::kIcv));
    }
  }
}

TEST("a packet that is not authentic leaves nothing in the buffer it was opened into") {
  for (const Suite suite : kSuites) {
    SealKey sealing = sealKeyOf(suite);
    OpenKey opening = openKeyOf(suite);
    Octets packet = seal(sealing, 1, Octets(200, std::byte{'S'}));
    packet.back() ^= std::byte{1};
    const Octets before = packet;
    Octets out(packet.size(), std::byte{0});
    CHECK(isDrop(opening.open(ByteSpan(packet), out), OpenDrop::kIcv));
    CHECK(packet == before);
    CHECK(std::ranges::all_of(out, [](std::byte octet) { return octet == std::byte{0}; }));
    CHECK(isDrop(opening.open(ByteSpan(packet), MutableByteSpan(out).first(out.size() - 1)),
                 OpenDrop::kLength));
  }
}

TEST("no counter seals twice, or out of order, or outside its range") {
  for (const Suite suite : kSuites) {
    SealKey key = sealKeyOf(suite);
    const Octets frame = countUp(60);
    CHECK(seal(key, 0, frame).empty());
    CHECK(!seal(key, 1, frame).empty());
    CHECK(seal(key, 1, frame).empty());
    CHECK(!seal(key, 5, frame).empty());
    CHECK(seal(key, 4, frame).empty());
    CHECK(seal(key, 5, frame).empty());
    CHECK(seal(key, kLastPacketCounter + 1, frame).empty());
    CHECK(!seal(key, kLastPacketCounter, frame).empty());
    CHECK(seal(key, kLastPacketCounter, frame).empty());
    Octets out(128);
    CHECK_EQ(key.sealPayload(kLastPacketCounter, kNextHeaderDummy, {}, out), 0U);
  }
}

TEST("sealing writes just the size it says, and nothing where it refuses") {
  for (const Suite suite : kSuites) {
    for (std::size_t frameBytes = 14; frameBytes < 100; ++frameBytes) {
      SealKey key = sealKeyOf(suite);
      const Octets frame = countUp(frameBytes);
      const std::size_t size = sealedFrameBytes(suite, frameBytes);
      Octets out(size + 8, kUntouched);
      CHECK_EQ(key.sealFrame(1, 0, frame, {}, MutableByteSpan(out).first(size - 1)), 0U);
      CHECK_EQ(key.sealFrame(1, 0x008, frame, {}, out), 0U);
      CHECK_EQ(key.sealPayload(1, kNextHeaderEtherip, frame, out), 0U);
      CHECK(std::ranges::all_of(out, [](std::byte octet) { return octet == kUntouched; }));
      CHECK_EQ(key.sealFrame(1, 0, frame, {}, out), size);
      CHECK(std::ranges::all_of(ByteSpan(out).subspan(size),
                                [](std::byte octet) { return octet == kUntouched; }));
    }
  }
}

TEST("a frame in two pieces is sealed as in one, wherever it is cut") {
  for (const Suite suite : kSuites) {
    for (std::size_t frameBytes = 480; frameBytes < 640; ++frameBytes) {
      const Octets frame = countUp(frameBytes);
      SealKey whole = sealKeyOf(suite);
      const Octets expected = seal(whole, 9, frame);
      for (std::size_t firstBytes = 0; firstBytes < 100; ++firstBytes) {
        SealKey key = sealKeyOf(suite);
        Octets out(expected.size(), kUntouched);
        CHECK_EQ(key.sealFrame(9, 0, ByteSpan(frame).first(firstBytes),
                               ByteSpan(frame).subspan(firstBytes), out),
                 expected.size());
        CHECK(out == expected);
      }
    }
  }
}

TEST("the sizes agree with each other: the largest frame fits and one more does not") {
  for (const Suite suite : kSuites) {
    for (std::size_t datagramBytes = 0; datagramBytes < 2'000; ++datagramBytes) {
      const std::size_t frameBytes = largestSealedFrame(suite, datagramBytes);
      CHECK(sealedFrameBytes(suite, frameBytes + 1) > datagramBytes);
      if (frameBytes > 0) {
        CHECK(sealedFrameBytes(suite, frameBytes) <= datagramBytes);
      }
    }
  }
  // The layout of wire/esp.h by hand: 8 + 8 + 2 + 1514 + 2 filled to 4 + 16.
  CHECK_EQ(sealedFrameBytes(Suite::kAes128Gcm, 1'514), 1'552U);
  CHECK_EQ(sealedFrameBytes(Suite::kHmacSha256, 1'514), 1'544U);
  CHECK_EQ(sealedFrameBytes(Suite::kHmacSha1, 1'514), 1'540U);
  CHECK_EQ(sealedFrameBytes(Suite::kAes128CbcHmacSha1, 1'514), 1'556U);
  CHECK_EQ(largestSealedFrame(Suite::kAes128Gcm, 1'472), 1'436U);
}

TEST("equal lengths give equal sizes and IVs of CBC never repeat") {
  SealKey key = sealKeyOf(Suite::kAes128CbcHmacSha1);
  std::set<std::string> ivs;
  for (std::uint64_t counter = 1; counter <= 2'000; ++counter) {
    const Octets packet = seal(key, counter, countUp(60));
    CHECK_EQ(packet.size(), 100U);
    ivs.insert(printHex(ByteSpan(packet).subspan<8, 16>()));
  }
  CHECK_EQ(ivs.size(), 2'000U);
}

TEST("key material of another length makes no key") {
  for (const Suite suite : kSuites) {
    const std::size_t right = suiteSizes(suite).keyBytes;
    for (std::size_t size = 0; size <= 80; ++size) {
      CHECK_EQ(SealKey::make(suite, kSpi, Octets(size)).has_value(), size == right);
      CHECK_EQ(OpenKey::make(suite, Octets(size)).has_value(), size == right);
    }
  }
  for (const std::uint8_t number : std::array<std::uint8_t, 3>{0, 6, 255}) {
    CHECK(!suiteFromNumber(number));
  }
}

}  // namespace
}  // namespace vnetd

VNETD_TEST_MAIN()
