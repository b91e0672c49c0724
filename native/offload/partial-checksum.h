// "Checksum not computed" between our peers: a sealed frame whose TCP or UDP checksum field holds
// only its pseudo-header's sum. What was not computed is not verified either: two passes over each
// payload that the ICV makes superfluous.
//
// The receiver finds the offsets itself and computes the pseudo-header's sum itself; nothing of the
// field is believed. Frames for which either side would have to guess are not left so.
#pragma once

#include "offload/virtio-header.h"
#include "wire/bytes.h"
#include "wire/ethernet.h"

namespace vnetd {

// Does the frame have a TCP or UDP checksum whose place and extent are certain? Not so in
// fragments, behind a routing header, where lengths disagree. `layout` is parseFrame(frame).
[[nodiscard]] bool hasPartialChecksum(ByteSpan frame, const FrameLayout& layout);

// Writes the folded, uncomplemented sum of the pseudo-header into the field. Of a frame with one.
void storePseudoSum(MutableByteSpan frame, const FrameLayout& layout);

// Finishes what storePseudoSum() began.
void completePseudoSum(MutableByteSpan frame, const FrameLayout& layout);

// Where the field is, from the transport header on.
[[nodiscard]] inline std::uint16_t checksumOffsetOf(const FrameLayout& layout) {
  return layout.transport == TransportKind::kTcp ? kTcpChecksumOffset : kUdpChecksumOffset;
}

}  // namespace vnetd
