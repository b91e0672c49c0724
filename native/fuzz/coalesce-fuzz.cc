// The coalescer on any batch: what comes out, cut up again, is what went in, flow by flow.
#include "fuzz/fuzz-input.h"
#include "offload/coalesce.h"
#include "test/coalesce-model.h"

namespace vnetd {

namespace {

using fuzz::FuzzInput;
using test::Bytes;

void checkBatch(FuzzInput input) {
  static Coalescer coalescer({.tcp = true, .udp = true, .hashSeed = 1});
  static int vnets[2];  // NOLINT(*-avoid-c-arrays, *-avoid-non-const-global-variables): names
  const std::uint8_t switches = input.u8();
  coalescer.setOffloads((switches & 1U) == 0, (switches & 2U) == 0);
  const bool isRaw = (switches & 4U) != 0;
  test::Traffic<FuzzInput> traffic(input);
  test::CoalesceJudge judge(coalescer);
  for (int count = 0; count < 200 && !input.isEmpty(); ++count) {
    void* vnet = &vnets[(switches & 8U) != 0 ? count % 2 : 0];
    if (isRaw && input.below(4) == 0) {
      const ByteSpan frame = input.take(input.u8());
      judge.feed(vnet, Bytes(frame.begin(), frame.end()));
    } else {
      judge.feed(vnet, traffic.next());
    }
  }
  const std::string error = judge.flush();
  fuzz::require(error.empty(), error.c_str());
}

}  // namespace

}  // namespace vnetd

// NOLINTNEXTLINE(readability-identifier-naming): the name libFuzzer calls.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  vnetd::checkBatch({data, size});
  return 0;
}
