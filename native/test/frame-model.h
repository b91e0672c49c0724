// The obvious, slow way to make frames and checksums, against which the fast code is held. It
// shares nothing with wire/checksum.cc, wire/ethernet.cc and offload/ but the octet order.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "offload/virtio-header.h"
#include "wire/bytes.h"

namespace vnetd::test {

using Bytes = std::vector<std::byte>;

inline std::byte octet(std::uint64_t value) { return std::byte{static_cast<std::uint8_t>(value)}; }

inline Bytes bytesOf(std::initializer_list<unsigned> values) {
  Bytes bytes;
  for (const unsigned value : values) {
    bytes.push_back(octet(value));
  }
  return bytes;
}

inline void append(Bytes& bytes, ByteSpan more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}
inline void appendU16(Bytes& bytes, std::uint64_t value) {
  bytes.push_back(octet(value >> 8U));
  bytes.push_back(octet(value));
}
inline void appendU32(Bytes& bytes, std::uint64_t value) {
  appendU16(bytes, value >> 16U);
  appendU16(bytes, value);
}

inline Bytes concat(ByteSpan first, ByteSpan second) {
  Bytes bytes(first.begin(), first.end());
  append(bytes, second);
  return bytes;
}

/** RFC 1071 §1, word by word. */
inline std::uint16_t slowSum(ByteSpan bytes) {
  std::uint32_t sum = 0;
  for (std::size_t at = 0; at < bytes.size(); at += 2) {
    const unsigned low = at + 1 < bytes.size() ? loadU8(&bytes[at + 1]) : 0;
    sum += loadU8(&bytes[at]) * 256U + low;
    if (sum > 0xFFFF) {
      sum -= 0xFFFF;
    }
  }
  return static_cast<std::uint16_t>(sum);
}

struct FrameSpec {
  bool isIpv6 = false;
  bool isTcp = true;
  std::vector<std::uint16_t> tagTypes{};
  std::uint8_t sourceHost = 1;  // last octet of MAC and IP addresses
  std::uint8_t destinationHost = 2;
  std::uint16_t sourcePort = 40000;
  std::uint16_t destinationPort = 80;
  std::uint8_t trafficClass = 0;
  std::uint8_t hopLimit = 64;
  std::uint16_t ipId = 0;
  std::uint16_t ipFlags = 0x4000;  // DF; with the fragment offset
  Bytes ipOptions{};               // IPv4: a multiple of 4 octets
  std::uint8_t extensionKind = 0;  // IPv6: kind of the one extension header in `extension`
  Bytes extension{};               // whole, its next-header octet is overwritten
  std::uint32_t sequence = 1000;
  std::uint32_t acknowledgement = 2000;
  std::uint16_t tcpFlags = 0x10;  // 12 bits, the reserved ones included
  std::uint16_t window = 500;
  std::uint16_t urgent = 0;
  Bytes tcpOptions{};  // a multiple of 4 octets
  bool hasUdpChecksum = true;
  Bytes payload{};
  std::size_t paddingBytes = 0;  // behind the IP packet
};

inline std::size_t l3OffsetOf(const FrameSpec& spec) { return 14 + 4 * spec.tagTypes.size(); }
inline std::size_t l4OffsetOf(const FrameSpec& spec) {
  return l3OffsetOf(spec) + (spec.isIpv6 ? 40 + spec.extension.size() : 20 + spec.ipOptions.size());
}
inline std::size_t headerBytesOf(const FrameSpec& spec) {
  return l4OffsetOf(spec) + (spec.isTcp ? 20 + spec.tcpOptions.size() : 8);
}
inline std::size_t checksumAtOf(const FrameSpec& spec) {
  return l4OffsetOf(spec) + (spec.isTcp ? 16 : 6);
}
inline std::uint8_t protocolOf(const FrameSpec& spec) { return spec.isTcp ? 6 : 17; }

inline Bytes addressOf(bool isIpv6, std::uint8_t host) {
  return isIpv6 ? bytesOf({0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host})
                : bytesOf({10, 0, 0, host});
}

/** The pseudo-header as octets. */
inline Bytes pseudoHeaderOf(const FrameSpec& spec, std::size_t l4Bytes) {
  Bytes bytes = addressOf(spec.isIpv6, spec.sourceHost);
  append(bytes, addressOf(spec.isIpv6, spec.destinationHost));
  if (spec.isIpv6) {
    appendU32(bytes, l4Bytes);
    appendU32(bytes, protocolOf(spec));
  } else {
    appendU16(bytes, protocolOf(spec));
    appendU16(bytes, l4Bytes);
  }
  return bytes;
}

/** The TCP segment or UDP datagram with checksum 0. */
inline Bytes transportOf(const FrameSpec& spec) {
  Bytes bytes;
  appendU16(bytes, spec.sourcePort);
  appendU16(bytes, spec.destinationPort);
  if (spec.isTcp) {
    appendU32(bytes, spec.sequence);
    appendU32(bytes, spec.acknowledgement);
    appendU16(bytes, ((20 + spec.tcpOptions.size()) / 4) << 12U | spec.tcpFlags);
    appendU16(bytes, spec.window);
    appendU16(bytes, 0);
    appendU16(bytes, spec.urgent);
    append(bytes, spec.tcpOptions);
  } else {
    appendU16(bytes, 8 + spec.payload.size());
    appendU16(bytes, 0);
  }
  append(bytes, spec.payload);
  return bytes;
}

inline Bytes ipHeaderOf(const FrameSpec& spec, std::size_t l4Bytes) {
  Bytes bytes;
  if (spec.isIpv6) {
    appendU32(bytes, 0x6000'0000U | unsigned{spec.trafficClass} << 20U);
    appendU16(bytes, spec.extension.size() + l4Bytes);
    bytes.push_back(octet(spec.extension.empty() ? protocolOf(spec) : spec.extensionKind));
    bytes.push_back(octet(spec.hopLimit));
  } else {
    bytes.push_back(octet(0x40U + 5 + spec.ipOptions.size() / 4));
    bytes.push_back(octet(spec.trafficClass));
    appendU16(bytes, 20 + spec.ipOptions.size() + l4Bytes);
    appendU16(bytes, spec.ipId);
    appendU16(bytes, spec.ipFlags);
    bytes.push_back(octet(spec.hopLimit));
    bytes.push_back(octet(protocolOf(spec)));
    appendU16(bytes, 0);
  }
  append(bytes, addressOf(spec.isIpv6, spec.sourceHost));
  append(bytes, addressOf(spec.isIpv6, spec.destinationHost));
  if (spec.isIpv6) {
    append(bytes, spec.extension);
    if (!spec.extension.empty()) {
      bytes[40] = octet(protocolOf(spec));
    }
  } else {
    append(bytes, spec.ipOptions);
    storeU16(&bytes[10], static_cast<std::uint16_t>(~slowSum(bytes)));
  }
  return bytes;
}

inline Bytes ethernetOf(const FrameSpec& spec) {
  Bytes bytes = bytesOf({2, 0, 0, 0, 0, spec.destinationHost, 2, 0, 0, 0, 0, spec.sourceHost});
  for (const std::uint16_t tagType : spec.tagTypes) {
    appendU16(bytes, tagType);
    appendU16(bytes, 0x0123);
  }
  appendU16(bytes, spec.isIpv6 ? 0x86DD : 0x0800);
  return bytes;
}

/** The whole frame, its checksums right. */
inline Bytes buildFrame(const FrameSpec& spec) {
  Bytes transport = transportOf(spec);
  if (spec.isTcp || spec.hasUdpChecksum) {
    const Bytes covered = concat(pseudoHeaderOf(spec, transport.size()), transport);
    auto checksum = static_cast<std::uint16_t>(~slowSum(covered));
    if (!spec.isTcp && checksum == 0) {
      checksum = 0xFFFF;
    }
    storeU16(&transport[spec.isTcp ? 16 : 6], checksum);
  }
  Bytes frame = concat(ethernetOf(spec), ipHeaderOf(spec, transport.size()));
  append(frame, transport);
  frame.resize(frame.size() + spec.paddingBytes);
  return frame;
}

/** The frame as a kernel hands it over with NEEDS_CSUM: the field holds the pseudo-header's sum. */
inline Bytes buildPendingFrame(const FrameSpec& spec) {
  Bytes frame = buildFrame(spec);
  const Bytes pseudo = pseudoHeaderOf(spec, transportOf(spec).size());
  storeU16(&frame[checksumAtOf(spec)], slowSum(pseudo));
  return frame;
}

/** The virtio header that goes with buildPendingFrame() of a super-frame. */
inline VirtioHeader superHeaderOf(const FrameSpec& spec, std::uint16_t gsoSize) {
  const std::uint8_t tcpType = spec.isIpv6 ? kVirtioGsoTcp6 : kVirtioGsoTcp4;
  return {.flags = kVirtioNeedsChecksum,
          .gsoType = spec.isTcp ? tcpType : kVirtioGsoUdpL4,
          .headerBytes = 0,
          .gsoSize = gsoSize,
          .checksumStart = static_cast<std::uint16_t>(l4OffsetOf(spec)),
          .checksumOffset = static_cast<std::uint16_t>(spec.isTcp ? 16 : 6)};
}

/** What a super-frame becomes when cut at `chunkBytes`, each segment built from its own spec. */
inline std::vector<Bytes> segmentSlowly(const FrameSpec& super, std::size_t chunkBytes) {
  std::vector<Bytes> frames;
  std::size_t offset = 0;
  do {
    FrameSpec spec = super;
    const std::size_t end = std::min(offset + chunkBytes, super.payload.size());
    spec.payload.assign(super.payload.begin() + static_cast<std::ptrdiff_t>(offset),
                        super.payload.begin() + static_cast<std::ptrdiff_t>(end));
    spec.sequence += static_cast<std::uint32_t>(offset);
    spec.ipId = static_cast<std::uint16_t>(spec.ipId + frames.size());
    if (end < super.payload.size()) {
      spec.tcpFlags &= static_cast<std::uint16_t>(~0x09U);
    }
    if (offset > 0) {
      spec.tcpFlags &= static_cast<std::uint16_t>(~0x80U);
    }
    frames.push_back(buildFrame(spec));
    offset = end;
  } while (offset < super.payload.size());
  return frames;
}

using Random = std::mt19937_64;

inline std::uint64_t below(Random& random, std::uint64_t bound) { return random() % bound; }

inline Bytes randomBytes(Random& random, std::size_t byteCount) {
  Bytes bytes(byteCount);
  for (std::byte& value : bytes) {
    value = octet(random());
  }
  return bytes;
}

inline std::string hexOf(ByteSpan bytes) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  for (const std::byte value : bytes) {
    text += kDigits[loadU8(&value) >> 4U];
    text += kDigits[loadU8(&value) & 15U];
  }
  return text;
}

}  // namespace vnetd::test
