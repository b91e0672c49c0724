#include "offload/partial-checksum.h"

#include "wire/checksum.h"

namespace vnetd {

// HOT PATH: no allocation, no throw.
bool hasPartialChecksum(ByteSpan frame, const FrameLayout& layout) {
  if (layout.transport == TransportKind::kNone || layout.lengthFit == LengthFit::kWrong ||
      layout.isFragment || layout.hasRoutingHeader) {
    return false;
  }
  return layout.transport == TransportKind::kTcp ||
         loadU16(&frame[layout.l4Offset + 4U]) == layout.packetEnd - layout.l4Offset;
}

// HOT PATH: no allocation, no throw.
void storePseudoSum(MutableByteSpan frame, const FrameLayout& layout) {
  const std::uint64_t sum = pseudoHeaderSum(ipAddresses(frame, layout), layout.ipProtocol,
                                            layout.packetEnd - layout.l4Offset);
  storeU16(&frame[layout.l4Offset + checksumOffsetOf(layout)], foldSum(sum));
}

// HOT PATH: no allocation, no throw.
void completePseudoSum(MutableByteSpan frame, const FrameLayout& layout) {
  completeChecksum(frame.first(layout.packetEnd), layout.l4Offset, checksumOffsetOf(layout));
}

}  // namespace vnetd
