// Cuts one super-frame from the TAP into frames that the underlay can carry.
//
//   arena:  | headroom | Ethernet…TCP header 0 | pad | headroom | header 1 | pad | …
//   frame:  | headers | payload 0 | payload 1 | … | last payload |
//
// Payloads are not copied: each segment is a header in the caller's arena and a view into the
// super-frame. Every segment's checksums are complete, unless TCP's and UDP's are to be left. All
// segments but the last have the same length, the last is not longer: together they are one UDP GSO
// run.
#pragma once

#include <cstdint>
#include <span>

#include "offload/virtio-header.h"
#include "wire/bytes.h"
#include "wire/ethernet.h"

namespace vnetd {

/**
 * The most frames one super-frame may become. 64 KiB at a TCP MSS of 128 still pass; a guest
 * that asks for 65,000 one-octet segments gets none.
 */
inline constexpr std::size_t kMaxTcpSegments = 512;
/** The kernel's own limit since Linux 6.9 (UDP_MAX_SEGMENTS). */
inline constexpr std::size_t kMaxUdpSegments = 128;
inline constexpr std::size_t kMaxSegments = kMaxTcpSegments;

struct Segment {
  MutableByteSpan header;  // Ethernet to TCP/UDP; `headroomBytes` writable octets lie before it
  ByteSpan payload;
};

/** Headers begin this many octets apart. */
constexpr std::size_t segmentStrideBytes(std::size_t headroomBytes, std::size_t headerBytes) {
  return (headroomBytes + headerBytes + 15U) / 16U * 16U;
}

/** An arena of this size holds the headers of any super-frame. */
constexpr std::size_t segmentArenaBytes(std::size_t headroomBytes) {
  return kMaxSegments * segmentStrideBytes(headroomBytes, kMaxSuperHeaderBytes);
}

struct SegmentRequest {
  ByteSpan frame;              // the super-frame; owned by the caller, referenced by the segments
  const FrameLayout& layout;   // parseFrame(frame)
  const VirtioHeader& header;  // checkOutbound() called it kSuperTcp or kSuperUdp
  std::size_t maxFrameBytes;   // TCP is cut to this if gsoSize is larger; UDP never
  std::size_t headroomBytes;   // free octets wanted before each header
  bool isPartial = false;      // leave the TCP or UDP checksum to the receiver: pseudo-header's sum
};

struct SegmentResult {
  enum class Outcome : std::uint8_t {
    kSegments,  // `segments` is filled
    kTooMany,   // more than the limits above: drop-virtio-header
    kNoRoom,    // maxFrameBytes does not even hold the headers, or the arena is too small
  };
  Outcome outcome;
  std::span<Segment> segments;  // a part of `storage`
};

// HOT PATH: no allocation, no throw. Header i begins at arena + i × stride + headroom.
SegmentResult segmentSuperFrame(const SegmentRequest& request, MutableByteSpan arena,
                                std::span<Segment> storage);

}  // namespace vnetd
