#include "offload/partial-checksum.h"

#include "offload/coalesce.h"
#include "offload/segment.h"
#include "test/check.h"
#include "test/frame-model.h"

namespace vnetd {
namespace {

using test::buildFrame;
using test::buildPendingFrame;
using test::Bytes;
using test::FrameSpec;

std::vector<FrameSpec> specs() {
  test::Random random(21);
  std::vector<FrameSpec> all;
  for (const bool isIpv6 : {false, true}) {
    for (const bool isTcp : {false, true}) {
      for (const std::size_t tags : {std::size_t{0}, std::size_t{2}}) {
        FrameSpec spec{.isIpv6 = isIpv6, .isTcp = isTcp};
        spec.tagTypes.assign(tags, kEtherTypeVlan);
        spec.payload = test::randomBytes(random, 333 + tags);
        all.push_back(spec);
      }
    }
  }
  return all;
}

TEST("the field becomes the pseudo-header's sum, whatever it was, and then the whole checksum") {
  for (const FrameSpec& spec : specs()) {
    const Bytes complete = buildFrame(spec);
    Bytes frame = complete;
    storeU16(&frame[test::checksumAtOf(spec)], 0x1234);
    const FrameLayout layout = parseFrame(frame);
    REQUIRE(hasPartialChecksum(frame, layout));
    storePseudoSum(frame, layout);
    CHECK(frame == buildPendingFrame(spec));
    completePseudoSum(frame, layout);
    CHECK(frame == complete);
  }
}

TEST("octets behind the packet are not a part of it") {
  for (FrameSpec spec : specs()) {
    spec.paddingBytes = 9;
    const Bytes complete = buildFrame(spec);
    Bytes frame = complete;
    const FrameLayout layout = parseFrame(frame);
    REQUIRE(hasPartialChecksum(frame, layout));
    storePseudoSum(frame, layout);
    completePseudoSum(frame, layout);
    CHECK(frame == complete);
  }
}

TEST("where its place or extent is not certain there is none") {
  for (const FrameSpec& spec : specs()) {
    Bytes frame = buildFrame(spec);
    const std::size_t l3 = test::l3OffsetOf(spec);
    if (spec.isIpv6) {
      storeU16(&frame[l3 + 4], 4'000);  // beyond the frame
      CHECK(!hasPartialChecksum(frame, parseFrame(frame)));
    } else {
      storeU16(&frame[l3 + 6], 0x2000);  // a fragment
      CHECK(!hasPartialChecksum(frame, parseFrame(frame)));
    }
    if (!spec.isTcp) {
      frame = buildFrame(spec);
      storeU16(&frame[test::l4OffsetOf(spec) + 4], 20);  // UDP's own length
      CHECK(!hasPartialChecksum(frame, parseFrame(frame)));
    }
    frame = buildFrame(spec);
    frame.resize(test::l4OffsetOf(spec) + 4);
    CHECK(!hasPartialChecksum(frame, parseFrame(frame)));
  }
  FrameSpec routed{.isIpv6 = true, .extensionKind = 43, .extension = Bytes(8)};
  routed.extension[3] = std::byte{1};
  routed.payload = Bytes(50);
  const Bytes frame = buildFrame(routed);
  CHECK(!hasPartialChecksum(frame, parseFrame(frame)));
}

TEST("segments whose checksums are left have the pseudo-header's sum of their own length") {
  test::Random random(22);
  for (const bool isIpv6 : {false, true}) {
    for (const bool isTcp : {false, true}) {
      FrameSpec spec{.isIpv6 = isIpv6, .isTcp = isTcp, .ipId = 5, .tcpFlags = 0x99};
      spec.payload = test::randomBytes(random, 5'003);
      const Bytes super = buildPendingFrame(spec);
      const FrameLayout layout = parseFrame(super);
      const VirtioHeader header = test::superHeaderOf(spec, 1'400);
      Bytes arena(segmentArenaBytes(0));
      std::vector<Segment> storage(kMaxSegments);
      const SegmentResult result = segmentSuperFrame({.frame = super,
                                                      .layout = layout,
                                                      .header = header,
                                                      .maxFrameBytes = 2'000,
                                                      .headroomBytes = 0,
                                                      .isPartial = true},
                                                     arena, storage);
      const std::vector<Bytes> expected = segmentSlowly(spec, 1'400);
      CHECK_EQ(result.segments.size(), expected.size());
      for (std::size_t index = 0; index < expected.size(); ++index) {
        const Segment& segment = result.segments[index];
        Bytes frame = test::concat(segment.header, segment.payload);
        Bytes pending = expected[index];
        storePseudoSum(pending, parseFrame(pending));
        CHECK(frame == pending);
        completePseudoSum(frame, parseFrame(frame));
        CHECK(frame == expected[index]);
      }
    }
  }
}

struct Output {
  VirtioHeader header;
  Bytes frame;
  std::uint32_t frameCount;
};

std::vector<Output> flushOf(Coalescer& coalescer) {
  std::vector<Output> outputs;
  coalescer.flush([&](const CoalescedFrame& output) {
    Output one{.header = output.header, .frame = {}, .frameCount = output.frameCount};
    for (const iovec& part : output.parts.subspan(1)) {
      test::append(one.frame, {static_cast<const std::byte*>(part.iov_base), part.iov_len});
    }
    outputs.push_back(one);
  });
  return outputs;
}

// What the coalescer makes of frames, the first of which (`isPending`) have their checksums left.
std::vector<Output> coalesce(std::vector<Bytes> frames, const std::vector<bool>& isPending) {
  static Coalescer coalescer({.tcp = true, .udp = true, .hashSeed = 3});
  for (std::size_t index = 0; index < frames.size(); ++index) {
    const FrameLayout layout = parseFrame(frames[index]);
    if (isPending[index]) {
      storePseudoSum(frames[index], layout);
    }
    coalescer.add(nullptr, frames[index], layout, isPending[index]);
  }
  return flushOf(coalescer);
}

std::vector<Bytes> threeInARow(bool isTcp) {
  FrameSpec spec{.isTcp = isTcp};
  std::vector<Bytes> frames;
  for (int count = 0; count < 3; ++count) {
    spec.payload = Bytes(600, test::octet(static_cast<unsigned>(count)));
    frames.push_back(buildFrame(spec));
    spec.sequence += 600;
    ++spec.ipId;
  }
  return frames;
}

TEST("frames with pending checksums merge as complete ones do, also with these") {
  for (const bool isTcp : {false, true}) {
    const std::vector<Output> complete = coalesce(threeInARow(isTcp), {false, false, false});
    REQUIRE(complete.size() == 1);
    for (const std::vector<bool>& pending : std::vector<std::vector<bool>>{
             {true, true, true}, {true, false, true}, {false, true, true}}) {
      const std::vector<Output> merged = coalesce(threeInARow(isTcp), pending);
      REQUIRE(merged.size() == 1);
      CHECK_EQ(merged[0].frameCount, 3U);
      CHECK(merged[0].header == complete[0].header);
      CHECK(merged[0].frame == complete[0].frame);
    }
  }
}

TEST("alone, a frame with a pending checksum asks for it, and another does not") {
  for (const FrameSpec& spec : specs()) {
    const Bytes frame = buildFrame(spec);
    const std::vector<Output> pending = coalesce({frame}, {true});
    REQUIRE(pending.size() == 1);
    CHECK_EQ(pending[0].header.flags, kVirtioNeedsChecksum);
    CHECK_EQ(pending[0].header.gsoType, kVirtioGsoNone);
    CHECK_EQ(std::size_t{pending[0].header.checksumStart}, test::l4OffsetOf(spec));
    CHECK_EQ(pending[0].header.checksumStart + std::size_t{pending[0].header.checksumOffset},
             test::checksumAtOf(spec));
    const std::vector<Output> plain = coalesce({frame}, {false});
    REQUIRE(plain.size() == 1);
    CHECK(plain[0].header == VirtioHeader{});
    CHECK(plain[0].frame == frame);
  }
}

TEST("a complete frame with a wrong checksum is not merged behind pending ones") {
  std::vector<Bytes> frames = threeInARow(true);
  frames[1][60] ^= std::byte{1};
  const std::vector<Output> outputs = coalesce(frames, {true, false, true});
  CHECK_EQ(outputs.size(), 3U);
  CHECK(outputs[1].frame == frames[1]);
}

TEST("a pending frame with a wrong IPv4 header checksum is not merged") {
  std::vector<Bytes> frames = threeInARow(true);
  frames[1][24] ^= std::byte{1};
  CHECK_EQ(coalesce(frames, {true, true, true}).size(), 3U);
}

}  // namespace
}  // namespace vnetd

VNETD_TEST_MAIN()
