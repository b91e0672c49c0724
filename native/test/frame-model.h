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

/** RFC 1071 §1, word by word; `start` is the sum of what lies before. */
inline std::uint16_t slowSum(ByteSpan bytes, std::uint64_t start = 0) {
  std::uint64_t sum = start;
  const std::size_t evenBytes = bytes.size() / 2 * 2;
  for (std::size_t at = 0; at < evenBytes; at += 2) {
    sum += loadU16(bytes.data() + at);
  }
  if (evenBytes != bytes.size()) {
    sum += loadU8(&bytes.back()) * std::uint64_t{256};
  }
  while (sum > 0xFFFF) {
    sum = (sum & 0xFFFFU) + (sum >> 16U);
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

inline std::size_t frameBytesOf(const FrameSpec& spec) {
  return headerBytesOf(spec) + spec.payload.size() + spec.paddingBytes;
}

inline void copyTo(std::byte* at, ByteSpan bytes) { std::copy(bytes.begin(), bytes.end(), at); }

inline void writeAddress(std::byte* at, bool isIpv6, std::uint8_t host) {
  if (isIpv6) {
    storeU32(at, 0x20010db8);
    storeU8(at + 15, host);
  } else {
    storeU32(at, 0x0A000000U + host);
  }
}

inline Bytes addressOf(bool isIpv6, std::uint8_t host) {
  Bytes bytes(isIpv6 ? 16 : 4);
  writeAddress(bytes.data(), isIpv6, host);
  return bytes;
}

/** The pseudo-header as octets. */
inline Bytes pseudoHeaderOf(const FrameSpec& spec, std::size_t l4Bytes) {
  const std::size_t addressBytes = spec.isIpv6 ? 16 : 4;
  Bytes bytes(2 * addressBytes + (spec.isIpv6 ? 8 : 4));
  writeAddress(bytes.data(), spec.isIpv6, spec.sourceHost);
  writeAddress(&bytes[addressBytes], spec.isIpv6, spec.destinationHost);
  std::byte* tail = &bytes[2 * addressBytes];
  if (spec.isIpv6) {
    storeU32(tail, static_cast<std::uint32_t>(l4Bytes));
    storeU32(tail + 4, protocolOf(spec));
  } else {
    storeU16(tail, protocolOf(spec));
    storeU16(tail + 2, static_cast<std::uint16_t>(l4Bytes));
  }
  return bytes;
}

inline void writeEthernet(const FrameSpec& spec, std::byte* at) {
  storeU8(at, 2);
  storeU8(at + 5, spec.destinationHost);
  storeU8(at + 6, 2);
  storeU8(at + 11, spec.sourceHost);
  at += 12;
  for (const std::uint16_t tagType : spec.tagTypes) {
    storeU16(at, tagType);
    storeU16(at + 2, 0x0123);
    at += 4;
  }
  storeU16(at, spec.isIpv6 ? 0x86DD : 0x0800);
}

inline void writeIpv4(const FrameSpec& spec, std::size_t packetBytes, std::byte* at) {
  const std::size_t headerBytes = 20 + spec.ipOptions.size();
  storeU8(at, static_cast<std::uint8_t>(0x40U + headerBytes / 4));
  storeU8(at + 1, spec.trafficClass);
  storeU16(at + 2, static_cast<std::uint16_t>(packetBytes));
  storeU16(at + 4, spec.ipId);
  storeU16(at + 6, spec.ipFlags);
  storeU8(at + 8, spec.hopLimit);
  storeU8(at + 9, protocolOf(spec));
  writeAddress(at + 12, false, spec.sourceHost);
  writeAddress(at + 16, false, spec.destinationHost);
  copyTo(at + 20, spec.ipOptions);
  storeU16(at + 10, static_cast<std::uint16_t>(~slowSum({at, headerBytes})));
}

inline void writeIpv6(const FrameSpec& spec, std::size_t packetBytes, std::byte* at) {
  storeU32(at, 0x6000'0000U | unsigned{spec.trafficClass} << 20U);
  storeU16(at + 4, static_cast<std::uint16_t>(packetBytes - 40));
  storeU8(at + 6, spec.extension.empty() ? protocolOf(spec) : spec.extensionKind);
  storeU8(at + 7, spec.hopLimit);
  writeAddress(at + 8, true, spec.sourceHost);
  writeAddress(at + 24, true, spec.destinationHost);
  copyTo(at + 40, spec.extension);
  if (!spec.extension.empty()) {
    storeU8(at + 40, protocolOf(spec));
  }
}

/** The TCP segment or UDP datagram with checksum 0. */
inline void writeTransport(const FrameSpec& spec, std::byte* at) {
  storeU16(at, spec.sourcePort);
  storeU16(at + 2, spec.destinationPort);
  if (spec.isTcp) {
    const std::size_t headerBytes = 20 + spec.tcpOptions.size();
    storeU32(at + 4, spec.sequence);
    storeU32(at + 8, spec.acknowledgement);
    storeU16(at + 12, static_cast<std::uint16_t>(headerBytes / 4 << 12U | spec.tcpFlags));
    storeU16(at + 14, spec.window);
    storeU16(at + 18, spec.urgent);
    copyTo(at + 20, spec.tcpOptions);
    copyTo(at + headerBytes, spec.payload);
  } else {
    storeU16(at + 4, static_cast<std::uint16_t>(8 + spec.payload.size()));
    copyTo(at + 8, spec.payload);
  }
}

/** The whole frame, its checksums right. */
inline Bytes buildFrame(const FrameSpec& spec) {
  Bytes frame(frameBytesOf(spec));
  const std::size_t l3Offset = l3OffsetOf(spec);
  const std::size_t l4Offset = l4OffsetOf(spec);
  const std::size_t packetBytes = frame.size() - spec.paddingBytes - l3Offset;
  writeEthernet(spec, frame.data());
  if (spec.isIpv6) {
    writeIpv6(spec, packetBytes, &frame[l3Offset]);
  } else {
    writeIpv4(spec, packetBytes, &frame[l3Offset]);
  }
  writeTransport(spec, &frame[l4Offset]);
  if (spec.isTcp || spec.hasUdpChecksum) {
    const ByteSpan transport =
        ByteSpan(frame).subspan(l4Offset, packetBytes - (l4Offset - l3Offset));
    const auto checksum = static_cast<std::uint16_t>(
        ~slowSum(transport, slowSum(pseudoHeaderOf(spec, transport.size()))));
    storeU16(&frame[checksumAtOf(spec)], !spec.isTcp && checksum == 0 ? 0xFFFF : checksum);
  }
  return frame;
}

/** The frame as a kernel hands it over with NEEDS_CSUM: the field holds the pseudo-header's sum. */
inline Bytes buildPendingFrame(const FrameSpec& spec) {
  Bytes frame = buildFrame(spec);
  const std::size_t l4Bytes = frame.size() - spec.paddingBytes - l4OffsetOf(spec);
  storeU16(&frame[checksumAtOf(spec)], slowSum(pseudoHeaderOf(spec, l4Bytes)));
  return frame;
}

/** Both families, both transports, each plain, tagged and doubly tagged in the usual ways. */
inline std::vector<FrameSpec> specVariants(std::size_t payloadBytes) {
  std::vector<FrameSpec> specs;
  for (const bool isIpv6 : {false, true}) {
    for (const bool isTcp : {false, true}) {
      for (const std::vector<std::uint16_t>& tagTypes :
           {std::vector<std::uint16_t>{}, {0x8100}, {0x88A8, 0x8100}, {0x9100, 0x8100}}) {
        FrameSpec spec{.isIpv6 = isIpv6, .isTcp = isTcp, .tagTypes = tagTypes};
        spec.payload.assign(payloadBytes, std::byte{0x5A});
        specs.push_back(spec);
      }
    }
  }
  return specs;
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

/** The same numbers in every run. */
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t operator()() { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

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
