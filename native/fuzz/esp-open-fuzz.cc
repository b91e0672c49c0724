// Opens anything with a key of every suite. What is not sealed with the key is refused, in place as
// apart; what is sealed from the fuzzer's choices opens to just what went in, or is refused for the
// reason that is in it.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "crypto/libcrypto.h"
#include "crypto/open-key.h"
#include "crypto/seal-key.h"
#include "crypto/suite-contexts.h"
#include "fuzz/fuzz-input.h"
#include "wire/esp.h"
#include "wire/ethernet.h"

namespace vnetd {
namespace {

using Octets = std::vector<std::byte>;
using fuzz::FuzzInput;

constexpr std::uint32_t kSpi = 0x10000001;

// One suite's keys of both directions, and its contexts bare, to seal what SealKey would not.
struct Keys {
  Suite suite;
  OpenKey open;
  SuiteContexts bare;
};

Octets keyMaterial(Suite suite) {
  return Octets(suiteSizes(suite).keyBytes, std::byte{static_cast<std::uint8_t>(suite)});
}

// Of what libcrypto cannot fail to make.
template <typename Value>
Value made(std::optional<Value> value) {
  if (!value) {
    std::abort();
  }
  return *std::move(value);
}

std::vector<Keys> makeKeys() {
  fuzz::require(!prepareLibcrypto().failed(), "libcrypto can be prepared");
  std::vector<Keys> keys;
  for (std::uint8_t number = kFirstSuite; number <= kLastSuite; ++number) {
    const Suite suite = made(suiteFromNumber(number));
    const Octets material = keyMaterial(suite);
    keys.push_back({.suite = suite,
                    .open = made(OpenKey::make(suite, material)),
                    .bare = made(SuiteContexts::make(suite, Direction::kSeal, material))});
  }
  return keys;
}

// Opens both ways; they have to agree, and what is opened has to lie where it should.
OpenOutcome openBothWays(Keys& keys, const Octets& packet) {
  Octets apart(packet.size());
  Octets copy = packet;
  const OpenOutcome outcome = keys.open.open(ByteSpan(packet), apart);
  const OpenOutcome inPlace = keys.open.open(MutableByteSpan(copy));
  fuzz::require(outcome.index() == inPlace.index(), "in place as apart");
  const auto* const drop = std::get_if<OpenDrop>(&outcome);
  if (drop != nullptr) {
    fuzz::require(*drop == std::get<OpenDrop>(inPlace), "the same reason");
    const bool hasCounter = packetCounter(keys.suite, packet).has_value();
    fuzz::require(hasCounter == (*drop != OpenDrop::kLength && *drop != OpenDrop::kCounter),
                  "a counter unless length or counter are wrong");
    return outcome;
  }
  const auto& opened = std::get<OpenedPacket>(outcome);
  const auto& openedInPlace = std::get<OpenedPacket>(inPlace);
  fuzz::require(std::ranges::equal(opened.payload, openedInPlace.payload) &&
                    opened.flags == openedInPlace.flags &&
                    opened.nextHeader == openedInPlace.nextHeader,
                "the same payload");
  fuzz::require(opened.payload.empty() ||
                    (opened.payload.data() >= apart.data() &&
                     opened.payload.data() + opened.payload.size() <= apart.data() + apart.size()),
                "the payload lies in the buffer");
  fuzz::require((opened.flags & ~kKnownFlags) == 0, "known flags only");
  fuzz::require(
      opened.nextHeader != kNextHeaderEtherip || opened.payload.size() >= kEthernetHeaderBytes,
      "a frame has an Ethernet header");
  return outcome;
}

// Octets that were never sealed. The odds against a right ICV are 2^96.
void openStranger(Keys& keys, ByteSpan bytes) {
  const Octets packet(bytes.begin(), bytes.end());
  const OpenOutcome outcome = openBothWays(keys, packet);
  const auto* const drop = std::get_if<OpenDrop>(&outcome);
  fuzz::require(drop != nullptr && (*drop == OpenDrop::kLength || *drop == OpenDrop::kCounter ||
                                    *drop == OpenDrop::kIcv),
                "a stranger's packet is refused, and not for what is in it");
}

// A right ICV around any inside: what a host of the vnet gone wild could send.
void openInsider(Keys& keys, std::uint64_t counter, ByteSpan inside) {
  const SuiteSizes sizes = suiteSizes(keys.suite);
  const std::size_t textBytes =
      std::max<std::size_t>(inside.size(), 1) / sizes.alignBytes * sizes.alignBytes +
      sizes.alignBytes;
  const std::size_t textAt = kSpiAndSequenceBytes + sizes.ivBytes;
  Octets packet(textAt + textBytes + sizes.icvBytes);
  // At the end, so that the fuzzer's last octets are the trailer.
  std::ranges::copy(
      inside, packet.begin() + static_cast<std::ptrdiff_t>(textAt + textBytes - inside.size()));
  storeU32(packet.data(), kSpi);
  storeU32(&packet[4], static_cast<std::uint32_t>(counter));
  std::byte* const iv = &packet[kSpiAndSequenceBytes];
  std::byte* const icv = &packet[textAt + textBytes];
  const MutableByteSpan text = MutableByteSpan(packet).subspan(textAt, textBytes);
  bool isSealed = false;
  if (sizes.ivBytes == sizeof counter) {
    storeU64(iv, counter);
    isSealed = keys.bare.sealGcm(packet.data(), iv, text, icv);
  } else if (sizes.ivBytes == 0) {
    isSealed = keys.bare.makeIcv(ByteSpan(packet).first(textAt + textBytes), icv);
  } else {
    isSealed = keys.bare.makeCbcIv(counter, iv) && keys.bare.sealCbc(iv, text) &&
               keys.bare.makeIcv(ByteSpan(packet).first(textAt + textBytes), icv);
  }
  fuzz::require(isSealed, "libcrypto seals");
  const OpenOutcome outcome = openBothWays(keys, packet);
  const auto* const drop = std::get_if<OpenDrop>(&outcome);
  fuzz::require(drop == nullptr || (*drop != OpenDrop::kIcv && *drop != OpenDrop::kLength),
                "what has a right ICV is refused only for what is in it");
}

// What is sealed opens to what went in; with one octet changed it does not open.
void roundTrip(Keys& keys, FuzzInput& input) {
  SealKey seal = made(SealKey::make(keys.suite, kSpi, keyMaterial(keys.suite)));
  const std::uint64_t counter = input.u16();
  const auto flags = static_cast<std::uint16_t>(input.u8() % 16);
  const std::size_t changeAt = input.u16();
  const std::uint8_t change = input.u8();
  const ByteSpan first = input.take(input.u8());
  const ByteSpan second = input.rest();
  Octets packet(sealedFrameBytes(keys.suite, first.size() + second.size()));
  const std::size_t packetBytes = seal.sealFrame(counter, flags, first, second, packet);
  const bool isAllowed = counter != 0 && (flags & ~kKnownFlags) == 0;
  fuzz::require(packetBytes == (isAllowed ? packet.size() : 0), "sealed to its size, or refused");
  if (packetBytes == 0) {
    return;
  }
  const OpenOutcome outcome = openBothWays(keys, packet);
  const auto* const drop = std::get_if<OpenDrop>(&outcome);
  const std::size_t frameBytes = first.size() + second.size();
  fuzz::require(drop == nullptr
                    ? frameBytes >= kEthernetHeaderBytes
                    : *drop == OpenDrop::kRuntFrame && frameBytes < kEthernetHeaderBytes,
                "what was sealed opens, unless it is too short to be a frame");
  packet[changeAt % packet.size()] ^= std::byte{change};
  if (change != 0) {
    fuzz::require(std::holds_alternative<OpenDrop>(openBothWays(keys, packet)),
                  "a changed octet is found");
  }
}

}  // namespace
}  // namespace vnetd

// The first octet chooses the suite and what is done.
// NOLINTNEXTLINE(readability-identifier-naming): the name libFuzzer calls.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static std::vector<vnetd::Keys> all = vnetd::makeKeys();
  vnetd::fuzz::FuzzInput input(data, size);
  const std::uint8_t choice = input.u8();
  vnetd::Keys& keys = all[choice % all.size()];
  switch (choice / 5 % 3) {
    case 0:
      vnetd::openStranger(keys, input.rest());
      break;
    case 1: {
      const std::uint64_t high = input.u8() % 4 == 0 ? input.u8() : 0;
      vnetd::openInsider(keys, high << 32U | input.u16(), input.rest());
      break;
    }
    default:
      vnetd::roundTrip(keys, input);
  }
  return 0;
}
