#include "offload/segment.h"

#include "test/check.h"
#include "test/frame-model.h"

namespace vnetd {

namespace {

using test::buildPendingFrame;
using test::Bytes;
using test::bytesOf;
using test::FrameSpec;
using test::Random;
using test::superHeaderOf;
using Outcome = SegmentResult::Outcome;

constexpr std::size_t kHeadroomBytes = 22;

// Segments with buffers of its own; `frames` are header and payload put together.
struct Cut {
  Outcome outcome;
  std::vector<Bytes> frames;
};

Cut cut(const Bytes& super, const VirtioHeader& header, std::size_t maxFrameBytes,
        std::size_t headroomBytes = kHeadroomBytes) {
  const FrameLayout layout = parseFrame(super);
  CHECK(checkOutbound(header, layout) != OutboundKind::kInvalid);
  const std::byte mark{0xA5};
  Bytes arena(segmentArenaBytes(headroomBytes), mark);
  std::vector<Segment> storage(kMaxSegments);
  const SegmentResult result =
      segmentSuperFrame({super, layout, header, maxFrameBytes, headroomBytes}, arena, storage);
  Cut made{result.outcome, {}};
  std::size_t number = 0;
  for (const Segment& segment : result.segments) {
    made.frames.push_back(test::concat(segment.header, segment.payload));
    CHECK_EQ(segment.header.data() - arena.data(),
             number++ * segmentStrideBytes(headroomBytes, segment.header.size()) + headroomBytes);
    for (std::size_t back = 1; back <= headroomBytes; ++back) {
      CHECK(*(segment.header.data() - back) == mark);
    }
    CHECK(segment.payload.data() >= super.data());
    CHECK(segment.payload.data() + segment.payload.size() <= super.data() + super.size());
  }
  return made;
}

void checkAgainstModel(const FrameSpec& spec, std::uint16_t gsoSize, std::size_t maxFrameBytes) {
  const Cut made = cut(buildPendingFrame(spec), superHeaderOf(spec, gsoSize), maxFrameBytes);
  REQUIRE(made.outcome == Outcome::kSegments);
  const std::size_t room = maxFrameBytes - headerBytesOf(spec);
  const std::vector<Bytes> expected =
      segmentSlowly(spec, spec.isTcp ? std::min<std::size_t>(gsoSize, room) : gsoSize);
  CHECK_EQ(made.frames.size(), expected.size());
  CHECK(made.frames == expected);
}

TEST("a TCP super-frame with FIN, PSH and CWR becomes what its sender would have sent") {
  for (const bool isIpv6 : {false, true}) {
    Random random(5);
    FrameSpec spec{.isIpv6 = isIpv6, .ipId = 0xFFFE, .sequence = 0xFFFFFF00U, .tcpFlags = 0xD9};
    spec.tcpOptions = bytesOf({1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8});
    spec.payload = test::randomBytes(random, 5001);
    checkAgainstModel(spec, 1448, 9000);
    checkAgainstModel(spec, 1448, 1478);
    checkAgainstModel(spec, 5001, 9000);
    checkAgainstModel(spec, 65535, 9000);
  }
}

TEST("a UDP super-frame is cut at gso_size even when that is above the path's MTU") {
  for (const bool isIpv6 : {false, true}) {
    Random random(6);
    FrameSpec spec{.isIpv6 = isIpv6, .isTcp = false, .ipId = 7};
    spec.payload = test::randomBytes(random, 5000);
    checkAgainstModel(spec, 1472, 1300);
    checkAgainstModel(spec, 2500, 1300);
    checkAgainstModel(spec, 65535, 1300);
  }
}

TEST("a UDP segment whose checksum comes out as 0 is sent with ones") {
  FrameSpec spec{.isTcp = false};
  spec.payload = Bytes(20);
  // The first segment's payload begins with the checksum that it has without it.
  const Bytes zero = test::segmentSlowly(spec, 10)[0];
  storeU16(spec.payload.data(), loadU16(&zero[40]));
  const Cut made = cut(buildPendingFrame(spec), superHeaderOf(spec, 10), 1500);
  REQUIRE(made.frames.size() == 2);
  CHECK_EQ(loadU16(&made.frames[0][40]), 0xFFFF);
  checkAgainstModel(spec, 10, 1500);
}

TEST("random super-frames agree with the model") {
  Random random(7);
  for (int round = 0; round < 1500; ++round) {
    FrameSpec spec{.isIpv6 = random() % 2 == 0, .isTcp = random() % 3 != 0};
    spec.tagTypes.assign(test::below(random, 3), 0x8100);
    spec.ipId = static_cast<std::uint16_t>(random());
    spec.ipFlags = random() % 2 == 0 ? 0x4000 : 0;
    spec.sequence = static_cast<std::uint32_t>(random());
    spec.tcpFlags = static_cast<std::uint16_t>(random() & 0xFFFU);
    spec.urgent = static_cast<std::uint16_t>(random());
    spec.tcpOptions = test::randomBytes(random, 4 * test::below(random, 11));
    if (spec.isIpv6 && random() % 3 == 0) {
      spec.extensionKind = 60;
      spec.extension = test::concat(bytesOf({0, 1, 1, 12}), Bytes(12));
    } else if (!spec.isIpv6) {
      spec.ipOptions = test::randomBytes(random, 4 * test::below(random, 11));
    }
    const std::uint64_t gsoSize = 1 + test::below(random, 3000);
    const std::uint64_t limit = std::min<std::uint64_t>(20000, gsoSize * kMaxUdpSegments);
    spec.payload = test::randomBytes(random, test::below(random, limit + 1));
    checkAgainstModel(spec, static_cast<std::uint16_t>(gsoSize), 300 + test::below(random, 3000));
  }
}

TEST("64 KiB are cut whole") {
  Random random(8);
  FrameSpec spec;
  spec.payload = test::randomBytes(random, 65535 - 40);
  checkAgainstModel(spec, 1460, 1464);
  spec.isIpv6 = true;
  checkAgainstModel(spec, 1440, 1464);
}

TEST("a super-frame without payload is one frame") {
  checkAgainstModel({.tcpFlags = 0x11}, 1448, 1500);
}

TEST("an IP length of 0 or a lie, or padding, does not matter: the frame's length counts") {
  FrameSpec spec;
  spec.payload = Bytes(3000, std::byte{9});
  Bytes super = buildPendingFrame(spec);
  for (const unsigned lie : {0U, 100U, 65535U}) {
    storeU16(&super[16], static_cast<std::uint16_t>(lie));
    CHECK(cut(super, superHeaderOf(spec, 1448), 1500).frames == segmentSlowly(spec, 1446));
  }
}

TEST("with a routing header the pseudo-header's destination comes from the pending field") {
  FrameSpec spec{.isIpv6 = true, .extensionKind = 43};
  spec.extension = test::concat(bytesOf({0, 2, 2, 1, 0, 0, 0, 0}), test::addressOf(true, 9));
  spec.payload = Bytes(3000, std::byte{9});
  FrameSpec final = spec;
  final.destinationHost = 9;
  Bytes super = buildPendingFrame(spec);
  const Bytes finalSuper = buildPendingFrame(final);
  const std::size_t field = checksumAtOf(spec);
  storeU16(&super[field], loadU16(&finalSuper[field]));
  const Cut made = cut(super, superHeaderOf(spec, 1000), 1500);
  const std::vector<Bytes> expected = segmentSlowly(final, 1000);
  REQUIRE(made.frames.size() == 3);
  for (std::size_t index = 0; index < 3; ++index) {
    CHECK(std::equal(made.frames[index].begin() + 78, made.frames[index].end(),
                     expected[index].begin() + 78));
  }
}

TEST("a guest cannot have one read become more than the limit") {
  FrameSpec spec;
  spec.payload = Bytes(60000);
  CHECK(cut(buildPendingFrame(spec), superHeaderOf(spec, 1), 1500).outcome == Outcome::kTooMany);
  CHECK(cut(buildPendingFrame(spec), superHeaderOf(spec, 117), 1500).outcome == Outcome::kTooMany);
  checkAgainstModel(spec, 118, 1500);  // 509 segments
  spec.isTcp = false;
  CHECK(cut(buildPendingFrame(spec), superHeaderOf(spec, 400), 1500).outcome == Outcome::kTooMany);
  spec.payload = Bytes(kMaxUdpSegments * 10);
  checkAgainstModel(spec, 10, 1500);
  spec.payload.push_back(std::byte{1});
  CHECK(cut(buildPendingFrame(spec), superHeaderOf(spec, 10), 1500).outcome == Outcome::kTooMany);
}

TEST("a path that does not even hold the headers is told") {
  FrameSpec spec;
  spec.payload = Bytes(1000);
  for (const std::size_t maxFrameBytes : {0U, 53U, 54U}) {
    CHECK(cut(buildPendingFrame(spec), superHeaderOf(spec, 500), maxFrameBytes).outcome ==
          Outcome::kNoRoom);
  }
  checkAgainstModel(spec, 500, 57);
}

TEST("no segment is longer than an IP packet can be") {
  FrameSpec spec;
  spec.payload = Bytes(70000, std::byte{3});
  const Bytes super = buildPendingFrame(spec);  // its IP length has wrapped round
  const Cut made = cut(super, superHeaderOf(spec, 65535), 100000);
  REQUIRE(made.frames.size() == 2);
  CHECK_EQ(made.frames[0].size(), 14 + 65535);
  CHECK_EQ(loadU16(&made.frames[0][16]), 65535);
}

TEST("too small an arena or too few places are told, and nothing is written") {
  FrameSpec spec;
  spec.payload = Bytes(3000);
  const Bytes super = buildPendingFrame(spec);
  const FrameLayout layout = parseFrame(super);
  const VirtioHeader header = superHeaderOf(spec, 1000);
  const std::size_t needed = 3 * segmentStrideBytes(10, 54);
  Bytes arena(needed);
  std::vector<Segment> storage(3);
  const SegmentRequest request{super, layout, header, 1500, 10};
  CHECK(segmentSuperFrame(request, MutableByteSpan(arena).first(needed - 1), storage).outcome ==
        Outcome::kNoRoom);
  CHECK(segmentSuperFrame(request, arena, std::span<Segment>(storage).first(2)).outcome ==
        Outcome::kNoRoom);
  CHECK(arena == Bytes(needed));
  CHECK(segmentSuperFrame(request, arena, storage).outcome == Outcome::kSegments);
}

}  // namespace

}  // namespace vnetd

VNETD_TEST_MAIN()
