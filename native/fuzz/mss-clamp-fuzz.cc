// clampMss on any frame: it changes nothing but MSS options and the TCP checksum, never raises
// an MSS, and leaves the sum over the segment as right or wrong as it was.
#include "fuzz/fuzz-input.h"
#include "offload/mss-clamp.h"
#include "test/frame-model.h"

namespace vnetd {

namespace {

using fuzz::FuzzInput;
using test::Bytes;

Bytes makeFrame(FuzzInput& input) {
  const std::uint8_t shape = input.u8();
  if ((shape & 1U) == 0) {
    const ByteSpan frame = input.take(input.rest().size());
    return {frame.begin(), frame.end()};
  }
  test::FrameSpec spec;
  spec.isIpv6 = (shape & 2U) != 0;
  spec.tcpFlags = (shape & 4U) != 0 ? 0x12 : 0x02;
  spec.tagTypes.assign((shape >> 3U) % 3, kEtherTypeVlan);
  const ByteSpan options = input.take(40);
  spec.tcpOptions.assign(options.begin(), options.end());
  spec.tcpOptions.resize((options.size() + 3) / 4 * 4);
  const ByteSpan payload = input.take(input.rest().size());
  spec.payload.assign(payload.begin(), payload.end());
  return buildFrame(spec);
}

void checkClamp(FuzzInput input) {
  const std::uint16_t maxMss = input.u16();
  const TcpChecksumState state =
      input.below(4) == 0 ? TcpChecksumState::kPending : TcpChecksumState::kComplete;
  const Bytes before = makeFrame(input);
  const FrameLayout layout = parseFrame(before);
  Bytes after = before;
  const bool isLowered = clampMss(after, layout, maxMss, state);
  fuzz::require(isLowered == (after != before) || state == TcpChecksumState::kComplete,
                "it tells whether it changed anything");
  if (!isLowered) {
    fuzz::require(after == before, "what is not lowered is not touched");
    return;
  }
  const std::size_t field = layout.l4Offset + std::size_t{16};
  const std::size_t optionsAt = layout.l4Offset + kTcpHeaderBytes;
  for (std::size_t at = 0; at < before.size(); ++at) {
    const bool isField = state == TcpChecksumState::kComplete && (at == field || at == field + 1);
    const bool isOption = at >= optionsAt && at < layout.headersEnd();
    fuzz::require(after[at] == before[at] || isField || isOption,
                  "only options and checksum change");
  }
  if (state == TcpChecksumState::kComplete) {
    const auto error = [&](const Bytes& frame) {
      return test::slowSum(ByteSpan(frame).subspan(layout.l4Offset)) % 0xFFFFU;
    };
    fuzz::require(error(after) == error(before), "the sum over the segment is what it was");
  }
  fuzz::require(!clampMss(after, layout, maxMss, state), "once is enough");
}

}  // namespace

}  // namespace vnetd

// NOLINTNEXTLINE(readability-identifier-naming): the name libFuzzer calls.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  vnetd::checkClamp({data, size});
  return 0;
}
