#include "wire/checksum.h"

#include "test/check.h"
#include "test/frame-model.h"

namespace vnetd {

namespace {

using test::Bytes;
using test::bytesOf;
using test::Random;
using test::slowSum;

TEST("the sum of RFC 1071 §3's example is 0xddf2") {
  CHECK_EQ(sumBytes(bytesOf({0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7})), 0xddf2);
}

TEST("a known IPv4 header sums to all ones, and its checksum is b861") {
  Bytes header = bytesOf({0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
                          0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7});
  CHECK_EQ(sumBytes(header), 0xFFFF);
  storeU16(&header[10], 0);
  CHECK_EQ(checksumOf(sumBytes(header)), 0xb861);
}

TEST("nothing sums to 0 and an odd last octet is the high half") {
  CHECK_EQ(sumBytes({}), 0);
  CHECK_EQ(sumBytes(bytesOf({0x12})), 0x1200);
  CHECK_EQ(sumBytes(bytesOf({0x00, 0x01, 0x12})), 0x1201);
}

TEST("every length up to 700 at every alignment agrees with the slow sum") {
  Random random(1);
  const Bytes bytes = test::randomBytes(random, 740);
  for (std::size_t start = 0; start < 33; ++start) {
    for (std::size_t length = 0; length <= 700; ++length) {
      const ByteSpan piece = ByteSpan(bytes).subspan(start, length);
      if (sumBytes(piece) != slowSum(piece)) {
        CHECK_EQ(sumBytes(piece), slowSum(piece));
        return;
      }
    }
  }
}

TEST("no lane overflows on megabytes of ones") {
  for (const std::size_t length : {65535U, 65536U, 3U << 20U, (5U << 20U) + 77U}) {
    const Bytes ones(length, std::byte{0xFF});
    CHECK_EQ(sumBytes(ones), slowSum(ones));
  }
}

TEST("two adjacent pieces combine to the sum of the whole, at odd places too") {
  Random random(2);
  const Bytes bytes = test::randomBytes(random, 301);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    const std::uint16_t first = sumBytes(ByteSpan(bytes).first(cut));
    const std::uint16_t second = sumBytes(ByteSpan(bytes).subspan(cut));
    CHECK_EQ(combineSums(first, second, cut % 2 != 0), slowSum(bytes));
  }
}

TEST("the example of RFC 1624 §4 gives 0x0000, not 0xffff") {
  CHECK_EQ(updateChecksum(0xDD2F, 0x5555, 0x3285), 0x0000);
}

TEST("an update keeps a right checksum right and a wrong one wrong by as much") {
  Random random(3);
  for (int round = 0; round < 2000; ++round) {
    Bytes bytes = test::randomBytes(random, 40);
    storeU16(bytes.data(), 0);
    const auto error = static_cast<std::uint16_t>(test::below(random, 0xFFFF));
    storeU16(bytes.data(),
             static_cast<std::uint16_t>(~foldSum(std::uint64_t{slowSum(bytes)} + error)));
    const std::uint16_t before = slowSum(bytes);
    const auto value = static_cast<std::uint16_t>(random());
    storeU16(bytes.data(), updateChecksum(loadU16(bytes.data()), loadU16(&bytes[6]), value));
    storeU16(&bytes[6], value);
    CHECK_EQ(slowSum(bytes) % 0xFFFF, before % 0xFFFF);
  }
}

TEST("a UDP checksum of 0 is sent as ones, a TCP one as it is") {
  CHECK_EQ(udpChecksumOf(0xFFFF), 0xFFFF);
  CHECK_EQ(checksumOf(0xFFFF), 0);
  CHECK_EQ(udpChecksumOf(0x1234), 0xEDCB);
}

TEST("the pseudo-header sums agree with its octets, for both families and long lengths") {
  for (const bool isIpv6 : {false, true}) {
    for (const std::uint32_t l4Bytes : {0U, 20U, 65535U, 70000U}) {
      if (!isIpv6 && l4Bytes > 0xFFFF) {
        continue;
      }
      const test::FrameSpec spec{.isIpv6 = isIpv6};
      const Bytes addresses = test::concat(test::addressOf(isIpv6, 1), test::addressOf(isIpv6, 2));
      CHECK_EQ(foldSum(pseudoHeaderSum(addresses, 6, l4Bytes)),
               slowSum(test::pseudoHeaderOf(spec, l4Bytes)));
    }
  }
}

TEST("folding takes any 64-bit sum") {
  CHECK_EQ(foldSum(0), 0);
  CHECK_EQ(foldSum(0xFFFF), 0xFFFF);
  CHECK_EQ(foldSum(0x10000), 1);
  CHECK_EQ(foldSum(~std::uint64_t{0}), 0xFFFF);
  CHECK_EQ(foldSum(0xFFFF'FFFF'0000'0001U), 1);
}

}  // namespace

}  // namespace vnetd

VNETD_TEST_MAIN()
