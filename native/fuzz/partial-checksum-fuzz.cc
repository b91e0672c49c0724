// Any frame that came sealed with its checksum left to us: either there is none to complete, or
// what is written is its checksum, and nothing else of the frame changes.
#include <vector>

#include "fuzz/fuzz-input.h"
#include "offload/partial-checksum.h"
#include "test/frame-model.h"

namespace vnetd {

namespace {

using test::Bytes;

void checkFrame(ByteSpan octets) {
  Bytes frame(octets.begin(), octets.end());
  const FrameLayout layout = parseFrame(frame);
  if (!hasPartialChecksum(frame, layout)) {
    return;
  }
  const std::size_t field = layout.l4Offset + checksumOffsetOf(layout);
  fuzz::require(field + 2U <= layout.packetEnd, "the field is inside of the packet");
  storePseudoSum(frame, layout);
  const Bytes pending = frame;
  completePseudoSum(frame, layout);
  for (std::size_t at = 0; at < frame.size(); ++at) {
    fuzz::require(frame[at] == octets[at] || at == field || at == field + 1,
                  "only the checksum field is written");
  }
  const ByteSpan addresses = ipAddresses(frame, layout);
  Bytes pseudo(addresses.begin(), addresses.end());
  const ByteSpan transport =
      ByteSpan(frame).subspan(layout.l4Offset, layout.packetEnd - layout.l4Offset);
  test::appendU32(pseudo, layout.ipProtocol);
  test::appendU32(pseudo, transport.size());
  fuzz::require(loadU16(&pending[field]) == test::slowSum(pseudo),
                "the sum is the pseudo-header's");
  fuzz::require(test::slowSum(transport, test::slowSum(pseudo)) == 0xFFFF, "the checksum is right");
}

}  // namespace

}  // namespace vnetd

// NOLINTNEXTLINE(readability-identifier-naming): the name libFuzzer calls.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  vnetd::checkFrame(vnetd::fuzz::FuzzInput(data, size).rest());
  return 0;
}
