#include "crypto/seal-key.h"

#include <cstring>
#include <utility>

#include "wire/esp.h"

namespace vnetd {
namespace {

constexpr std::uint16_t kEtheripVersion = 3U << 12U;

void append(std::byte* at, ByteSpan bytes) {
  // An empty span may have no address, which memcpy must not be given.
  if (!bytes.empty()) {
    std::memcpy(at, bytes.data(), bytes.size());
  }
}

}  // namespace

SealKey::SealKey(Suite suite, std::uint32_t spi, SuiteContexts contexts)
    : contexts_(std::move(contexts)), spi_(spi), suite_(suite) {}

std::optional<SealKey> SealKey::make(Suite suite, std::uint32_t spi, ByteSpan key) {
  auto contexts = SuiteContexts::make(suite, Direction::kSeal, key);
  return contexts ? std::optional(SealKey(suite, spi, *std::move(contexts))) : std::nullopt;
}

std::size_t SealKey::sealFrame(std::uint64_t counter, std::uint16_t flags, ByteSpan first,
                               ByteSpan second, MutableByteSpan out) {
  const std::size_t frameBytes = first.size() + second.size();
  const std::size_t packetBytes = sealedFrameBytes(suite_, frameBytes);
  if (out.size() < packetBytes || (flags & ~kKnownFlags) != 0 || !mayUse(counter)) {
    return 0;
  }
  // Gathered first, then sealed in place by one call: a call each for the blocks that straddle the
  // pieces and for the rest costs 30 ns more than copying 1400 octets.
  std::byte* const payload = &out[kSpiAndSequenceBytes + suiteSizes(suite_).ivBytes];
  storeU16(payload, kEtheripVersion | flags);
  append(payload + kEtheripWordBytes, first);
  append(payload + kEtheripWordBytes + first.size(), second);
  return finish(counter, kEtheripWordBytes + frameBytes, kNextHeaderEtherip, out.first(packetBytes))
             ? packetBytes
             : 0;
}

std::size_t SealKey::sealPayload(std::uint64_t counter, std::uint8_t nextHeader, ByteSpan payload,
                                 MutableByteSpan out) {
  const std::size_t packetBytes = sealedBytes(suite_, payload.size());
  if (out.size() < packetBytes || nextHeader == kNextHeaderEtherip || !mayUse(counter)) {
    return 0;
  }
  append(&out[kSpiAndSequenceBytes + suiteSizes(suite_).ivBytes], payload);
  return finish(counter, payload.size(), nextHeader, out.first(packetBytes)) ? packetBytes : 0;
}

bool SealKey::mayUse(std::uint64_t counter) {
  if (counter <= lastCounter_ || counter > kLastPacketCounter) {
    return false;
  }
  lastCounter_ = counter;
  return true;
}

// `packet` has exactly the sealed size and its payload in place; everything around that is written
// here.
bool SealKey::finish(std::uint64_t counter, std::size_t payloadBytes, std::uint8_t nextHeader,
                     MutableByteSpan packet) {
  const SuiteSizes sizes = suiteSizes(suite_);
  const std::size_t textAt = kSpiAndSequenceBytes + sizes.ivBytes;
  const MutableByteSpan text = packet.subspan(textAt, packet.size() - textAt - sizes.icvBytes);
  const std::size_t padBytes = text.size() - payloadBytes - kEspTrailerBytes;
  for (std::size_t i = 0; i < padBytes; ++i) {
    storeU8(&text[payloadBytes + i], static_cast<std::uint8_t>(i + 1));
  }
  storeU8(&text[text.size() - 2], static_cast<std::uint8_t>(padBytes));
  storeU8(&text[text.size() - 1], nextHeader);

  std::byte* const iv = &packet[kSpiAndSequenceBytes];
  std::byte* const icv = &packet[packet.size() - sizes.icvBytes];
  storeU32(packet.data(), spi_);
  storeU32(&packet[4], static_cast<std::uint32_t>(counter));
  const ByteSpan covered = packet.first(packet.size() - sizes.icvBytes);
  switch (suite_) {
    case Suite::kAes128Gcm:
    case Suite::kAes256Gcm:
      storeU64(iv, counter);
      return contexts_.sealGcm(packet.data(), iv, text, icv);
    case Suite::kHmacSha256:
    case Suite::kHmacSha1:
      return contexts_.makeIcv(covered, icv);
    case Suite::kAes128CbcHmacSha1:
      return contexts_.makeCbcIv(counter, iv) && contexts_.sealCbc(iv, text) &&
             contexts_.makeIcv(covered, icv);
  }
  return false;
}

}  // namespace vnetd
