// parseFrame on any octets: whatever it reports lies inside the frame.
#include "fuzz/fuzz-input.h"
#include "wire/ethernet.h"

namespace vnetd {

namespace {

void checkLayout(ByteSpan frame) {
  const FrameLayout layout = parseFrame(frame);
  fuzz::require(layout.frameBytes == frame.size(), "the frame's length is its length");
  fuzz::require(layout.packetEnd <= frame.size(), "the packet ends inside the frame");
  fuzz::require(layout.headersEnd() <= layout.packetEnd, "the headers end inside the packet");
  fuzz::require(layout.l3Offset == (frame.size() < kEthernetHeaderBytes
                                        ? 0
                                        : kEthernetHeaderBytes + std::size_t{4} * layout.tagCount),
                "the tags stand between the MACs and the packet");
  const bool isIp = layout.network != NetworkKind::kOther;
  fuzz::require(isIp == (layout.l4Offset != 0), "IP alone has something behind it");
  if (isIp) {
    const ByteSpan addresses = ipAddresses(frame, layout);
    fuzz::require(addresses.data() + addresses.size() <= frame.data() + layout.l4Offset,
                  "the addresses stand before the transport header");
    fuzz::require((layout.lengthFit == LengthFit::kPadded) == (layout.packetEnd < frame.size()),
                  "padding is what follows the packet");
  }
  const std::size_t l4Bytes = layout.l4HeaderBytes;
  switch (layout.transport) {
    case TransportKind::kTcp:
      fuzz::require(l4Bytes >= kTcpHeaderBytes && l4Bytes <= 60, "TCP headers have 20 to 60");
      break;
    case TransportKind::kUdp:
      fuzz::require(l4Bytes == kUdpHeaderBytes, "UDP headers have 8");
      break;
    case TransportKind::kNone:
      fuzz::require(l4Bytes == 0, "nothing has no header");
      break;
  }
  fuzz::require(!layout.isFragment || layout.transport == TransportKind::kNone,
                "a fragment has no transport header to be used");
}

}  // namespace

}  // namespace vnetd

// NOLINTNEXTLINE(readability-identifier-naming): the name libFuzzer calls.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  vnetd::checkLayout(std::as_bytes(std::span<const std::uint8_t>(data, size)));
  return 0;
}
