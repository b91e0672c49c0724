#include "wire/vnc1.h"

#include "wire/bytes.h"
#include "wire/esp.h"

namespace vnetd {
namespace {

constexpr std::size_t kTypeAt = 8;
constexpr std::size_t kLengthAt = 10;
constexpr std::size_t kKeyIdAt = 20;
constexpr std::size_t kSpiAt = 60;
constexpr std::size_t kTlvHeaderBytes = 3;

// HELLO, SOLICIT, BYE, PROBE, PROBE_ACK, CLONE_ALERT; 3 to 5 are kept for pairwise keys.
bool isKnownType(std::uint8_t type) { return type == 1 || type == 2 || (type >= 6 && type <= 9); }

// May the value of a TLV of this type be as long as this? Unknown types, and padding, are free.
bool isValueLength(std::uint8_t tlvType, std::size_t valueBytes) {
  constexpr std::size_t kAddressEntryBytes = 19;
  enum Tlv : std::uint8_t {
    kAddresses = 1,
    kMtu = 2,
    kCapabilities = 3,
    kChallenge = 4,
    kEcho = 5,
    kSentCounter = 6,
    kMembershipHint = 7,
    kProbe = 9,
    kWantedSpi = 10,
    kSaAge = 11,
  };
  switch (tlvType) {
    case kAddresses:
      return valueBytes % kAddressEntryBytes == 0;
    case kMtu:
    case kCapabilities:
    case kMembershipHint:
    case kWantedSpi:
    case kSaAge:
      return valueBytes == 4;
    case kProbe:
      return valueBytes == 6;
    case kSentCounter:
      return valueBytes == 8;
    case kChallenge:
    case kEcho:
      return valueBytes == 16;
    default:
      return true;
  }
}

bool isTlvChain(ByteSpan tlvs) {
  for (std::size_t count = 0; !tlvs.empty(); ++count) {
    if (count == kVnc1TlvCountMax || tlvs.size() < kTlvHeaderBytes) {
      return false;
    }
    const std::size_t valueBytes = loadU16(&tlvs[1]);
    if (valueBytes > tlvs.size() - kTlvHeaderBytes ||
        !isValueLength(loadU8(tlvs.data()), valueBytes)) {
      return false;
    }
    tlvs = tlvs.subspan(kTlvHeaderBytes + valueBytes);
  }
  return true;
}

}  // namespace

Vnc1Check checkVnc1(std::span<const std::byte> payload) {
  if (payload.size() < kVnc1BytesMin || classifyDatagram(payload) != DatagramKind::kVnc1) {
    return Vnc1Check::kNotVnc1;
  }
  if (loadU16(&payload[kLengthAt]) != payload.size()) {
    return Vnc1Check::kWrongLength;
  }
  if (!isKnownType(loadU8(&payload[kTypeAt]))) {
    return Vnc1Check::kWrongType;
  }
  const std::uint32_t spi = loadU32(&payload[kSpiAt]);
  if (loadU16(&payload[kKeyIdAt]) == 0 ||
      (spi != 0 && (spi < kFirstGroupSpi || spi > kLastGroupSpi))) {
    return Vnc1Check::kWrongField;
  }
  const ByteSpan tlvs = payload.subspan(kVnc1HeaderBytes, payload.size() - kVnc1BytesMin);
  return isTlvChain(tlvs) ? Vnc1Check::kGood : Vnc1Check::kWrongTlvs;
}

}  // namespace vnetd
