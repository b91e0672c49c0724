#include "crypto/open-key.h"

#include <openssl/crypto.h>

#include <cstring>
#include <utility>

#include "wire/esp.h"
#include "wire/ethernet.h"

namespace vnetd {
namespace {

constexpr unsigned kEtheripVersion = 3;
constexpr std::uint16_t kFlagBits = 0x0FFF;

// May this be a packet of the suite at all?
bool isWhole(const SuiteSizes& sizes, std::size_t packetBytes) {
  const std::size_t around = kSpiAndSequenceBytes + sizes.ivBytes + sizes.icvBytes;
  return packetBytes >= around + sizes.alignBytes && (packetBytes - around) % sizes.alignBytes == 0;
}

bool isPadding(ByteSpan padding) {
  for (std::size_t i = 0; i < padding.size(); ++i) {
    if (loadU8(&padding[i]) != i + 1) {
      return false;
    }
  }
  return true;
}

OpenOutcome readFrame(MutableByteSpan payload) {
  if (payload.size() < kEtheripWordBytes) {
    return OpenDrop::kRuntFrame;
  }
  const unsigned word = loadU16(payload.data());
  const auto flags = static_cast<std::uint16_t>(word & kFlagBits);
  if (word >> 12U != kEtheripVersion || (flags & ~kKnownFlags) != 0) {
    return OpenDrop::kEtherip;
  }
  if (payload.size() < kEtheripWordBytes + kEthernetHeaderBytes) {
    return OpenDrop::kRuntFrame;
  }
  return OpenedPacket{.nextHeader = kNextHeaderEtherip,
                      .flags = flags,
                      .payload = payload.subspan(kEtheripWordBytes)};
}

// `text`: payload, padding, pad length and next header, authentic and in the clear.
OpenOutcome readText(MutableByteSpan text) {
  const std::size_t padAndPayloadBytes = text.size() - kEspTrailerBytes;
  const std::size_t padBytes = loadU8(&text[padAndPayloadBytes]);
  const std::uint8_t nextHeader = loadU8(&text[padAndPayloadBytes + 1]);
  if (padBytes > padAndPayloadBytes ||
      !isPadding(text.subspan(padAndPayloadBytes - padBytes, padBytes))) {
    return OpenDrop::kPadding;
  }
  const MutableByteSpan payload = text.first(padAndPayloadBytes - padBytes);
  switch (nextHeader) {
    case kNextHeaderEtherip:
      return readFrame(payload);
    case kNextHeaderUdp:
    case kNextHeaderDummy:
      return OpenedPacket{.nextHeader = nextHeader, .flags = 0, .payload = payload};
    default:
      return OpenDrop::kNextHeader;
  }
}

}  // namespace

std::optional<std::uint64_t> packetCounter(Suite suite, ByteSpan packet) {
  if (!isWhole(suiteSizes(suite), packet.size())) {
    return std::nullopt;
  }
  const std::uint32_t sequence = decodeEspHeader(packet).sequence;
  std::uint64_t counter = sequence;
  if (suite == Suite::kAes128Gcm || suite == Suite::kAes256Gcm) {
    counter = loadU64(&packet[kSpiAndSequenceBytes]);
    if (static_cast<std::uint32_t>(counter) != sequence) {
      return std::nullopt;
    }
  }
  return counter != 0 ? std::optional(counter) : std::nullopt;
}

OpenKey::OpenKey(Suite suite, SuiteContexts contexts)
    : contexts_(std::move(contexts)), suite_(suite) {}

std::optional<OpenKey> OpenKey::make(Suite suite, ByteSpan key) {
  auto contexts = SuiteContexts::make(suite, Direction::kOpen, key);
  return contexts ? std::optional(OpenKey(suite, *std::move(contexts))) : std::nullopt;
}

OpenOutcome OpenKey::open(MutableByteSpan packet) { return openInto(packet, packet); }

OpenOutcome OpenKey::open(ByteSpan packet, MutableByteSpan out) {
  return out.size() < packet.size() ? OpenDrop::kLength
                                    : openInto(packet, out.first(packet.size()));
}

OpenOutcome OpenKey::openInto(ByteSpan packet, MutableByteSpan out) {
  const SuiteSizes sizes = suiteSizes(suite_);
  if (!isWhole(sizes, packet.size())) {
    return OpenDrop::kLength;
  }
  if (!packetCounter(suite_, packet)) {
    return OpenDrop::kCounter;
  }
  const std::size_t textAt = kSpiAndSequenceBytes + sizes.ivBytes;
  const std::size_t textBytes = packet.size() - textAt - sizes.icvBytes;
  const MutableByteSpan text = out.subspan(textAt, textBytes);
  if (!openText(packet, packet.subspan(textAt, textBytes), text.data())) {
    return OpenDrop::kIcv;
  }
  return readText(text);
}

// False: not authentic, and nothing of it is left in `text`.
bool OpenKey::openText(ByteSpan packet, ByteSpan sealed, std::byte* text) {
  const std::byte* const iv = &packet[kSpiAndSequenceBytes];
  const std::size_t coveredBytes = packet.size() - suiteSizes(suite_).icvBytes;
  const std::byte* const icv = &packet[coveredBytes];
  switch (suite_) {
    case Suite::kAes128Gcm:
    case Suite::kAes256Gcm:
      if (contexts_.openGcm(packet.data(), iv, sealed, text, icv)) {
        return true;
      }
      OPENSSL_cleanse(text, sealed.size());
      return false;
    case Suite::kHmacSha256:
    case Suite::kHmacSha1:
      if (!contexts_.isIcv(packet.first(coveredBytes), icv)) {
        return false;
      }
      if (text != sealed.data()) {
        std::memcpy(text, sealed.data(), sealed.size());
      }
      return true;
    case Suite::kAes128CbcHmacSha1:
      return contexts_.isIcv(packet.first(coveredBytes), icv) &&
             contexts_.openCbc(iv, sealed, text);
  }
  return false;
}

}  // namespace vnetd
