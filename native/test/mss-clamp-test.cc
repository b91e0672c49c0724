#include "offload/mss-clamp.h"

#include "test/check.h"
#include "test/frame-model.h"
#include "wire/checksum.h"

namespace vnetd {

namespace {

using test::buildFrame;
using test::Bytes;
using test::bytesOf;
using test::FrameSpec;

FrameSpec synWith(Bytes options) {
  FrameSpec spec{.tcpFlags = 0x02};
  spec.tcpOptions = std::move(options);
  return spec;
}

bool clamp(Bytes& frame, std::uint16_t maxMss,
           TcpChecksumState state = TcpChecksumState::kComplete) {
  return clampMss(frame, parseFrame(frame), maxMss, state);
}

TEST("the MSS of SYN and SYN-ACK is lowered and the frame is otherwise as if sent so") {
  for (const bool isIpv6 : {false, true}) {
    for (const unsigned flags : {0x02U, 0x12U, 0xC2U}) {
      FrameSpec spec = synWith(bytesOf({2, 4, 0x05, 0xb4, 1, 3, 3, 7, 4, 2, 1, 1}));
      spec.isIpv6 = isIpv6;
      spec.tcpFlags = static_cast<std::uint16_t>(flags);
      Bytes frame = buildFrame(spec);
      CHECK(clamp(frame, 1380));
      spec.tcpOptions = bytesOf({2, 4, 0x05, 0x64, 1, 3, 3, 7, 4, 2, 1, 1});
      CHECK(frame == buildFrame(spec));
    }
  }
}

TEST("an option at an odd place keeps the checksum right") {
  FrameSpec spec = synWith(bytesOf({1, 2, 4, 0x05, 0xb4, 1, 1, 0}));
  Bytes frame = buildFrame(spec);
  CHECK(clamp(frame, 1201));
  spec.tcpOptions = bytesOf({1, 2, 4, 0x04, 0xb1, 1, 1, 0});
  CHECK(frame == buildFrame(spec));
}

TEST("every one of several MSS options is lowered: receivers take the last") {
  FrameSpec spec = synWith(bytesOf({2, 4, 0x05, 0xb4, 2, 4, 0x23, 0x00}));
  Bytes frame = buildFrame(spec);
  CHECK(clamp(frame, 1000));
  spec.tcpOptions = bytesOf({2, 4, 0x03, 0xe8, 2, 4, 0x03, 0xe8});
  CHECK(frame == buildFrame(spec));
}

// What is left of the ones-complement sum over pseudo-header and segment; 0 when it is right.
unsigned checksumError(const FrameSpec& spec, const Bytes& frame) {
  const Bytes pseudo = test::pseudoHeaderOf(spec, frame.size() - l4OffsetOf(spec));
  return test::slowSum(test::concat(pseudo, ByteSpan(frame).subspan(l4OffsetOf(spec)))) % 0xFFFFU;
}

TEST("a wrong checksum stays wrong by as much") {
  const FrameSpec spec = synWith(bytesOf({1, 2, 4, 0x05, 0xb4, 1, 1, 0}));
  for (const unsigned error : {0U, 1U, 0x0100U, 0x7FFFU, 0xFFFEU}) {
    Bytes frame = buildFrame(spec);
    storeU16(&frame[50], foldSum(std::uint64_t{loadU16(&frame[50])} + error));
    CHECK_EQ(checksumError(spec, frame), error);
    CHECK(clamp(frame, 1380));
    CHECK_EQ(checksumError(spec, frame), error);
  }
}

TEST("a pending checksum is not touched, and comes out right when completed") {
  FrameSpec spec = synWith(bytesOf({2, 4, 0x05, 0xb4}));
  Bytes frame = buildPendingFrame(spec);
  const std::uint16_t seed = loadU16(&frame[50]);
  CHECK(clamp(frame, 1380, TcpChecksumState::kPending));
  CHECK_EQ(loadU16(&frame[50]), seed);
  completeChecksum(frame, 34, 16);
  spec.tcpOptions = bytesOf({2, 4, 0x05, 0x64});
  CHECK(frame == buildFrame(spec));
}

struct UntouchedCase {
  const char* why;
  FrameSpec spec;
  std::uint16_t maxMss;
};

TEST("nothing else is changed") {
  const Bytes mss1460 = bytesOf({2, 4, 0x05, 0xb4});
  std::vector<UntouchedCase> cases = {
      {"MSS low enough", synWith(mss1460), 1460},
      {"no options", synWith({}), 100},
      {"option ends the list first", synWith(bytesOf({0, 2, 4, 5, 0xb4, 0, 0, 0})), 100},
      {"option of length 0", synWith(bytesOf({3, 0, 2, 4, 5, 0xb4, 0, 0})), 100},
      {"option of length 1", synWith(bytesOf({3, 1, 2, 4, 5, 0xb4, 0, 0})), 100},
      {"option beyond the header", synWith(bytesOf({3, 60, 2, 4, 5, 0xb4, 0, 0})), 100},
      {"MSS of a wrong length", synWith(bytesOf({2, 3, 5, 2, 5, 0xb4, 1, 0})), 100},
      {"MSS cut off", synWith(bytesOf({1, 1, 1, 2})), 100},
      {"inside another option", synWith(bytesOf({30, 8, 2, 4, 5, 0xb4, 0, 0})), 100},
      {"not a SYN", synWith(mss1460), 100},
      {"a fragment", synWith(mss1460), 100},
      {"UDP", synWith(mss1460), 100},
  };
  cases[9].spec.tcpFlags = 0x10;
  cases[10].spec.ipFlags = 0x2000;
  cases[11].spec.isTcp = false;
  cases[11].spec.payload = Bytes(60, std::byte{2});
  for (const UntouchedCase& test : cases) {
    const Bytes before = buildFrame(test.spec);
    Bytes frame = before;
    CHECK(!clamp(frame, test.maxMss));
    if (frame != before) {
      std::fprintf(stderr, "changed: %s\n", test.why);
    }
    CHECK(frame == before);
  }
}

TEST("the MSS for an MTU leaves room for IP and TCP") {
  CHECK_EQ(mssForMtu(1500, NetworkKind::kIpv4), 1460);
  CHECK_EQ(mssForMtu(1500, NetworkKind::kIpv6), 1440);
  CHECK_EQ(mssForMtu(30, NetworkKind::kIpv4), 0);
  CHECK_EQ(mssForMtu(100000, NetworkKind::kIpv4), 65535);
}

}  // namespace

}  // namespace vnetd

VNETD_TEST_MAIN()
