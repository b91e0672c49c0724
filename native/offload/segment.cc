#include "offload/segment.h"

#include <algorithm>
#include <array>

#include "wire/checksum.h"

namespace vnetd {

namespace {

constexpr std::size_t kIpLengthMax = 65535;
constexpr std::uint16_t kFlagFin = 0x01;
constexpr std::uint16_t kFlagPush = 0x08;
constexpr std::uint16_t kFlagCongestionReduced = 0x80;

// The super-frame's headers with every field that differs between segments zero, and the sums
// of what is left.
struct HeaderTemplate {
  std::array<std::byte, kMaxSuperHeaderBytes> bytes;
  std::size_t byteCount;
  std::size_t l3Offset;
  std::size_t l4Offset;
  bool isIpv4;
  bool isTcp;
  std::uint16_t firstIpId;
  std::uint32_t firstSequence;
  std::uint16_t firstFlags;  // only on the first segment: CWR (RFC 3168 §6.1.2)
  std::uint16_t lastFlags;   // only on the last: FIN, PSH
  std::uint64_t ipSum;       // IPv4 header without length, ID and checksum
  std::uint64_t pseudoSum;   // pseudo-header without length
  std::uint64_t l4Sum;       // the same and the TCP/UDP header without what varies
};

struct SegmentPlace {
  std::size_t payloadOffset;  // in the super-frame's payload
  std::size_t payloadBytes;
  std::uint16_t index;
  bool isLast;
};

// What the pseudo-header adds, but for the length of the segment.
std::uint64_t pseudoSumWithoutLength(const SegmentRequest& request) {
  const FrameLayout& layout = request.layout;
  if (!layout.hasRoutingHeader) {
    return pseudoHeaderSum(ipAddresses(request.frame, layout), layout.ipProtocol, 0);
  }
  // The kernel knew the final destination: its sum is in the field, with the whole length.
  const std::uint16_t seed =
      loadU16(&request.frame[layout.l4Offset + request.header.checksumOffset]);
  const std::uint64_t l4Bytes = request.frame.size() - layout.l4Offset;
  return std::uint64_t{seed} + static_cast<std::uint16_t>(~foldSum(l4Bytes));
}

void prepareIp(HeaderTemplate& headers) {
  std::byte* ip = &headers.bytes[headers.l3Offset];
  if (!headers.isIpv4) {
    storeU16(ip + 4, 0);
    return;
  }
  headers.firstIpId = loadU16(ip + 4);
  storeU16(ip + 2, 0);
  storeU16(ip + 4, 0);
  storeU16(ip + 10, 0);
  headers.ipSum = sumBytes({ip, headers.l4Offset - headers.l3Offset});
}

void prepareTransport(HeaderTemplate& headers) {
  std::byte* l4 = &headers.bytes[headers.l4Offset];
  if (headers.isTcp) {
    const std::uint16_t word = loadU16(l4 + 12);
    headers.firstSequence = loadU32(l4 + 4);
    headers.firstFlags = word & kFlagCongestionReduced;
    headers.lastFlags = word & (kFlagFin | kFlagPush);
    storeU32(l4 + 4, 0);
    storeU16(l4 + 12,
             word & static_cast<std::uint16_t>(~(kFlagFin | kFlagPush | kFlagCongestionReduced)));
    storeU16(l4 + kTcpChecksumOffset, 0);
  } else {
    storeU16(l4 + 4, 0);
    storeU16(l4 + kUdpChecksumOffset, 0);
  }
  headers.l4Sum += sumBytes({l4, headers.byteCount - headers.l4Offset});
}

void prepareHeaders(const SegmentRequest& request, HeaderTemplate& headers) {
  const FrameLayout& layout = request.layout;
  headers.byteCount = layout.headersEnd();
  headers.l3Offset = layout.l3Offset;
  headers.l4Offset = layout.l4Offset;
  headers.isIpv4 = layout.network == NetworkKind::kIpv4;
  headers.isTcp = layout.transport == TransportKind::kTcp;
  std::memcpy(headers.bytes.data(), request.frame.data(), headers.byteCount);
  headers.pseudoSum = pseudoSumWithoutLength(request);
  headers.l4Sum = headers.pseudoSum;
  prepareIp(headers);
  prepareTransport(headers);
}

void finishIp(const HeaderTemplate& headers, const SegmentPlace& place, std::byte* ip) {
  const auto totalBytes =
      static_cast<std::uint16_t>(headers.byteCount - headers.l3Offset + place.payloadBytes);
  if (!headers.isIpv4) {
    storeU16(ip + 4, static_cast<std::uint16_t>(totalBytes - kIpv6HeaderBytes));
    return;
  }
  const auto id = static_cast<std::uint16_t>(headers.firstIpId + place.index);
  storeU16(ip + 2, totalBytes);
  storeU16(ip + 4, id);
  storeU16(ip + 10, checksumOf(headers.ipSum + totalBytes + id));
}

// `payloadSum`: TCP and UDP headers have an even length, so the payload begins a word.
void finishTransport(const HeaderTemplate& headers, const SegmentPlace& place,
                     std::uint16_t payloadSum, std::byte* l4) {
  const auto l4Bytes =
      static_cast<std::uint16_t>(headers.byteCount - headers.l4Offset + place.payloadBytes);
  const std::uint64_t sum = headers.l4Sum + l4Bytes + payloadSum;
  if (!headers.isTcp) {
    storeU16(l4 + 4, l4Bytes);
    storeU16(l4 + kUdpChecksumOffset, udpChecksumOf(sum + l4Bytes));
    return;
  }
  const std::uint32_t sequence =
      headers.firstSequence + static_cast<std::uint32_t>(place.payloadOffset);
  const auto flags = static_cast<std::uint16_t>((place.index == 0 ? headers.firstFlags : 0U) |
                                                (place.isLast ? headers.lastFlags : 0U));
  storeU32(l4 + 4, sequence);
  storeU16(l4 + 12, loadU16(l4 + 12) | flags);
  storeU16(l4 + kTcpChecksumOffset,
           checksumOf(sum + (sequence >> 16U) + (sequence & 0xFFFFU) + flags));
}

// What the receiver needs to compute the checksum in the place of finishTransport().
void leaveChecksum(const HeaderTemplate& headers, const SegmentPlace& place, std::byte* l4) {
  const std::uint64_t l4Bytes = headers.byteCount - headers.l4Offset + place.payloadBytes;
  storeU16(l4 + (headers.isTcp ? kTcpChecksumOffset : kUdpChecksumOffset),
           foldSum(headers.pseudoSum + l4Bytes));
}

// Payload octets in each segment but the last; 0 when not even one fits.
std::size_t payloadBytesPerSegment(const SegmentRequest& request, std::size_t headerBytes) {
  const std::size_t ipHeaders = headerBytes - request.layout.l3Offset;
  const std::size_t ipRoom = kIpLengthMax - ipHeaders;
  // A gso_size beyond the payload means one segment, however large it is.
  const std::size_t payloadBytes = request.frame.size() - headerBytes;
  const std::size_t gsoSize =
      std::min<std::size_t>(request.header.gsoSize, std::max<std::size_t>(payloadBytes, 1));
  if (request.layout.transport != TransportKind::kTcp) {
    // Datagram boundaries are the application's: too long ones are left to IP fragmentation.
    return gsoSize <= ipRoom ? gsoSize : 0;
  }
  const std::size_t frameRoom =
      request.maxFrameBytes > headerBytes ? request.maxFrameBytes - headerBytes : 0;
  return std::min({gsoSize, frameRoom, ipRoom});
}

}  // namespace

SegmentResult segmentSuperFrame(const SegmentRequest& request, MutableByteSpan arena,
                                std::span<Segment> storage) {
  using Outcome = SegmentResult::Outcome;
  const std::size_t headerBytes = request.layout.headersEnd();
  const std::size_t chunkBytes = payloadBytesPerSegment(request, headerBytes);
  if (chunkBytes == 0) {
    return {Outcome::kNoRoom, {}};
  }
  const ByteSpan payload = request.frame.subspan(headerBytes);
  const std::size_t count = payload.empty() ? 1 : (payload.size() + chunkBytes - 1) / chunkBytes;
  const bool isTcp = request.layout.transport == TransportKind::kTcp;
  if (count > (isTcp ? kMaxTcpSegments : kMaxUdpSegments)) {
    return {Outcome::kTooMany, {}};
  }
  const std::size_t strideBytes = segmentStrideBytes(request.headroomBytes, headerBytes);
  if (count * strideBytes > arena.size() || count > storage.size()) {
    return {Outcome::kNoRoom, {}};
  }
  HeaderTemplate headers{};
  prepareHeaders(request, headers);
  std::byte* header = arena.data() + request.headroomBytes;
  for (std::size_t index = 0; index < count; ++index, header += strideBytes) {
    const std::size_t offset = index * chunkBytes;
    const ByteSpan chunk = payload.subspan(offset, std::min(chunkBytes, payload.size() - offset));
    const SegmentPlace place{offset, chunk.size(), static_cast<std::uint16_t>(index),
                             index + 1 == count};
    std::memcpy(header, headers.bytes.data(), headerBytes);
    finishIp(headers, place, header + headers.l3Offset);
    const std::uint16_t payloadSum = request.isPartial ? std::uint16_t{0} : sumBytes(chunk);
    finishTransport(headers, place, payloadSum, header + headers.l4Offset);
    if (request.isPartial) {
      leaveChecksum(headers, place, header + headers.l4Offset);
    }
    storage[index] = {{header, headerBytes}, chunk};
  }
  return {Outcome::kSegments, storage.first(count)};
}

}  // namespace vnetd
