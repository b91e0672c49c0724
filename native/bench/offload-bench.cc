// Prints what segmenting and coalescing cost, in nanoseconds, on this machine. Not a test: the
// figures are for reading (the budget is 1.12 µs a packet, all told, at 10 Gbit/s).
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "offload/coalesce.h"
#include "offload/segment.h"
#include "wire/checksum.h"

namespace vnetd {

namespace {

constexpr std::size_t kHeaderBytes = 66;  // Ethernet, IPv4, TCP with time stamps
constexpr std::size_t kPayloadBytes = 1400;
constexpr std::size_t kSegmentCount = 46;
constexpr std::size_t kHeadroomBytes = 22;
constexpr int kRounds = 5;
constexpr int kRepeats = 2000;

using Clock = std::chrono::steady_clock;

// Keeps the compiler from dropping a computation whose result nobody reads.
void keep(std::uint64_t value) { asm volatile("" : : "r"(value) : "memory"); }

// The best of a few rounds: the machine does other things too.
template <typename Work>
double nanosecondsOf(Work&& work) {
  double best = 1e18;
  for (int round = 0; round < kRounds; ++round) {
    const Clock::time_point start = Clock::now();
    for (int repeat = 0; repeat < kRepeats; ++repeat) {
      work();
    }
    const std::chrono::duration<double, std::nano> spent = Clock::now() - start;
    best = std::min(best, spent.count() / kRepeats);
  }
  return best;
}

std::vector<std::byte> makeSuperFrame() {
  std::vector<std::byte> frame(kHeaderBytes + kPayloadBytes * kSegmentCount);
  std::uint32_t state = 1;
  for (std::byte& octet : frame) {
    state = state * 1664525U + 1013904223U;
    octet = std::byte{static_cast<std::uint8_t>(state >> 24U)};
  }
  frame[0] = std::byte{2};
  storeU16(&frame[12], kEtherTypeIpv4);
  storeU16(&frame[14], 0x4500);
  storeU16(&frame[16], static_cast<std::uint16_t>(frame.size() - 14));
  storeU16(&frame[20], 0x4000);
  storeU16(&frame[22], 0x4006);
  storeU16(&frame[46], 0x8010);
  storeU16(&frame[52], 0);
  return frame;
}

int run() {
  std::vector<std::byte> super = makeSuperFrame();
  const FrameLayout layout = parseFrame(super);
  const VirtioHeader header{kVirtioNeedsChecksum, kVirtioGsoTcp4, 0, kPayloadBytes, 34,
                            kTcpChecksumOffset};
  std::vector<std::byte> arena(segmentArenaBytes(kHeadroomBytes));
  std::vector<Segment> storage(kMaxSegments);
  if (checkOutbound(header, layout) != OutboundKind::kSuperTcp) {
    std::fprintf(stderr, "the super-frame is not one\n");
    return EXIT_FAILURE;
  }
  const double checksumNs = nanosecondsOf([&] { keep(sumBytes(ByteSpan(super).first(1448))); });
  const double parseNs = nanosecondsOf([&] { keep(parseFrame(super).l4Offset); });
  std::size_t segmentCount = 0;
  const auto segment = [&] {
    const SegmentResult result =
        segmentSuperFrame({super, layout, header, 9000, kHeadroomBytes}, arena, storage);
    segmentCount = result.segments.size();
    keep(segmentCount);
  };
  const double segmentNs = nanosecondsOf(segment);

  std::vector<std::vector<std::byte>> frames;
  for (const Segment& part : std::span<Segment>(storage).first(segmentCount)) {
    frames.emplace_back(part.header.begin(), part.header.end());
    frames.back().insert(frames.back().end(), part.payload.begin(), part.payload.end());
  }
  frames.pop_back();
  const std::vector<std::byte> firstHeader(frames[0].begin(), frames[0].begin() + kHeaderBytes);
  static Coalescer coalescer({.tcp = true, .udp = true, .hashSeed = 7});
  std::size_t outputCount = 0;
  const double coalesceNs = nanosecondsOf([&] {
    std::copy(firstHeader.begin(), firstHeader.end(), frames[0].begin());  // flush() changed it
    for (std::vector<std::byte>& frame : frames) {
      coalescer.add(nullptr, frame);
    }
    outputCount = 0;
    coalescer.flush([&](const CoalescedFrame& output) { outputCount += output.frameCount; });
  });
  const double aloneNs = nanosecondsOf([&] {
    coalescer.add(nullptr, frames[1]);
    coalescer.flush([](const CoalescedFrame& output) { keep(output.frameBytes); });
  });
  std::printf("checksum of 1448 octets         %7.1f ns\n", checksumNs);
  std::printf("parseFrame                      %7.1f ns\n", parseNs);
  std::printf("segment, per 1400-octet segment %7.1f ns (%zu segments)\n",
              segmentNs / static_cast<double>(segmentCount), segmentCount);
  std::printf("coalesce, per frame             %7.1f ns (%zu frames)\n",
              coalesceNs / static_cast<double>(frames.size()), outputCount);
  std::printf("coalesce, a frame alone         %7.1f ns\n", aloneNs);
  return EXIT_SUCCESS;
}

}  // namespace

}  // namespace vnetd

int main() { return vnetd::run(); }
