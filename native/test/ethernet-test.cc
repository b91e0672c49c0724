#include "wire/ethernet.h"

#include <array>

#include "test/check.h"
#include "test/frame-model.h"

namespace vnetd {

namespace {

using test::buildFrame;
using test::Bytes;
using test::bytesOf;
using test::FrameSpec;
using test::Random;

// Claims that hold for any octets; what they protect is reads out of bounds elsewhere.
void checkInvariants(ByteSpan frame) {
  const FrameLayout layout = parseFrame(frame);
  CHECK_EQ(layout.frameBytes, frame.size());
  CHECK(layout.packetEnd <= frame.size());
  CHECK(layout.l3Offset <= frame.size());
  CHECK(layout.headersEnd() <= layout.packetEnd);
  CHECK_EQ(layout.isEthernet(), frame.size() >= 14);
  if (layout.network != NetworkKind::kOther) {
    const std::uint32_t ipBytes = layout.network == NetworkKind::kIpv4 ? 20 : 40;
    CHECK(layout.l4Offset >= layout.l3Offset + ipBytes);
  } else {
    CHECK_EQ(layout.l4Offset, 0);
    CHECK_EQ(layout.transport, TransportKind::kNone);
  }
  CHECK_EQ(layout.l4HeaderBytes != 0, layout.transport != TransportKind::kNone);
  if (layout.isFragment) {
    CHECK_EQ(layout.transport, TransportKind::kNone);
  }
}

TEST("plain, tagged and doubly tagged TCP and UDP over IPv4 and IPv6 are found") {
  for (const FrameSpec& spec : test::specVariants(100)) {
    const Bytes frame = buildFrame(spec);
    const FrameLayout layout = parseFrame(frame);
    CHECK_EQ(layout.tagCount, spec.tagTypes.size());
    CHECK_EQ(layout.l3Offset, l3OffsetOf(spec));
    CHECK_EQ(layout.etherType, spec.isIpv6 ? kEtherTypeIpv6 : kEtherTypeIpv4);
    CHECK_EQ(layout.network, spec.isIpv6 ? NetworkKind::kIpv6 : NetworkKind::kIpv4);
    CHECK_EQ(layout.transport, spec.isTcp ? TransportKind::kTcp : TransportKind::kUdp);
    CHECK_EQ(layout.l4Offset, l4OffsetOf(spec));
    CHECK_EQ(layout.headersEnd(), headerBytesOf(spec));
    CHECK_EQ(layout.lengthFit, LengthFit::kExact);
    CHECK_EQ(layout.packetEnd, frame.size());
    CHECK(!layout.hasExtensions);
  }
}

TEST("a third tag is not IP, and a tag that is cut off is not skipped") {
  const Bytes three = buildFrame({.tagTypes = {0x88A8, 0x8100, 0x8100}});
  CHECK_EQ(parseFrame(three).network, NetworkKind::kOther);
  CHECK_EQ(parseFrame(three).etherType, 0x8100);
  const Bytes tagged = buildFrame({.tagTypes = {0x8100}});
  const FrameLayout cut = parseFrame(ByteSpan(tagged).first(17));
  CHECK_EQ(cut.tagCount, 0);
  CHECK_EQ(cut.l3Offset, 14);
  CHECK_EQ(cut.network, NetworkKind::kOther);
}

TEST("frames below 14 octets are no Ethernet") {
  const Bytes frame = buildFrame({});
  for (std::size_t length = 0; length < 14; ++length) {
    CHECK(!parseFrame(ByteSpan(frame).first(length)).isEthernet());
  }
  CHECK(parseFrame(ByteSpan(frame).first(14)).isEthernet());
}

TEST("padding is told from packet, and lengths that lie are told") {
  FrameSpec spec{.paddingBytes = 6};
  Bytes frame = buildFrame(spec);
  CHECK_EQ(parseFrame(frame).lengthFit, LengthFit::kPadded);
  CHECK_EQ(parseFrame(frame).packetEnd, frame.size() - 6);
  for (const unsigned lie : {0U, 19U, 47U, 65535U}) {
    storeU16(&frame[16], static_cast<std::uint16_t>(lie));
    CHECK_EQ(parseFrame(frame).lengthFit, LengthFit::kWrong);
    CHECK_EQ(parseFrame(frame).packetEnd, frame.size());
    CHECK_EQ(parseFrame(frame).transport, TransportKind::kTcp);
  }
  spec.isIpv6 = true;
  frame = buildFrame(spec);
  CHECK_EQ(parseFrame(frame).lengthFit, LengthFit::kPadded);
  for (const unsigned lie : {0U, 27U, 65535U}) {
    storeU16(&frame[18], static_cast<std::uint16_t>(lie));
    CHECK_EQ(parseFrame(frame).lengthFit, LengthFit::kWrong);
  }
}

TEST("a transport header outside the packet is not one, though the frame goes on") {
  const FrameSpec spec{.paddingBytes = 40};
  Bytes frame = buildFrame(spec);
  storeU16(&frame[16], 39);
  CHECK_EQ(parseFrame(frame).transport, TransportKind::kNone);
  storeU16(&frame[16], 40);
  CHECK_EQ(parseFrame(frame).transport, TransportKind::kTcp);
  storeU8(&frame[46], 0x60);  // a TCP header of 24 octets in a packet that has 20
  CHECK_EQ(parseFrame(frame).transport, TransportKind::kNone);
  storeU8(&frame[46], 0x40);
  CHECK_EQ(parseFrame(frame).transport, TransportKind::kNone);
}

TEST("wrong versions and header lengths are not IP") {
  Bytes frame = buildFrame({});
  for (const unsigned first : {0x05U, 0x65U, 0x44U, 0x40U, 0x4FU}) {
    storeU8(&frame[14], static_cast<std::uint8_t>(first));
    CHECK_EQ(parseFrame(frame).network, NetworkKind::kOther);
  }
  Bytes frame6 = buildFrame({.isIpv6 = true});
  storeU8(&frame6[14], 0x45);
  CHECK_EQ(parseFrame(frame6).network, NetworkKind::kOther);
}

TEST("IPv4 options and fragments are flagged") {
  FrameSpec spec;
  spec.ipOptions = bytesOf({7, 7, 4, 0, 0, 0, 0, 0});
  FrameLayout layout = parseFrame(buildFrame(spec));
  CHECK(layout.hasExtensions);
  CHECK_EQ(layout.transport, TransportKind::kTcp);
  CHECK_EQ(layout.l4Offset, 42);
  for (const unsigned flags : {0x2000U, 0x0001U, 0x1FFFU, 0x6010U}) {
    layout = parseFrame(buildFrame({.ipFlags = static_cast<std::uint16_t>(flags)}));
    CHECK(layout.isFragment);
    CHECK_EQ(layout.transport, TransportKind::kNone);
    CHECK_EQ(layout.ipProtocol, 6);
  }
  CHECK(!parseFrame(buildFrame({.ipFlags = 0xC000})).isFragment);
}

struct ExtensionCase {
  unsigned kind;
  Bytes extension;
  bool isFound;
  bool isRouting;
  bool isFragment;
};

TEST("known IPv6 extensions are skipped, a fragment header ends the walk, others stop it") {
  const std::vector<ExtensionCase> cases = {
      {0, bytesOf({0, 0, 1, 4, 0, 0, 0, 0}), true, false, false},
      {60, bytesOf({0, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}), true, false, false},
      {43, bytesOf({0, 0, 2, 1, 0, 0, 0, 0}), true, true, false},
      {43, bytesOf({0, 0, 2, 0, 0, 0, 0, 0}), true, false, false},
      {44, bytesOf({0, 0, 0, 1, 0, 0, 0, 9}), false, false, true},
      {44, bytesOf({0, 0, 0, 0, 0, 0, 0, 9}), false, false, true},
      {51, bytesOf({0, 4, 0, 0, 0, 0, 0, 0}), false, false, false},
      {0, bytesOf({0, 200, 1, 4, 0, 0, 0, 0}), false, false, false},
  };
  for (const ExtensionCase& test : cases) {
    FrameSpec spec{.isIpv6 = true, .extensionKind = static_cast<std::uint8_t>(test.kind)};
    spec.extension = test.extension;
    const FrameLayout layout = parseFrame(buildFrame(spec));
    CHECK_EQ(layout.transport, test.isFound ? TransportKind::kTcp : TransportKind::kNone);
    CHECK_EQ(layout.hasRoutingHeader, test.isRouting);
    CHECK_EQ(layout.isFragment, test.isFragment);
    CHECK_EQ(layout.hasExtensions, test.isFound || test.isFragment);
    if (test.isFound) {
      CHECK_EQ(layout.l4Offset, l4OffsetOf(spec));
    }
  }
}

TEST("an endless row of extensions is given up") {
  FrameSpec spec{.isIpv6 = true, .extensionKind = 60};
  for (int count = 0; count < 9; ++count) {
    test::append(spec.extension, bytesOf({60, 0, 1, 4, 0, 0, 0, 0}));
  }
  Bytes frame = buildFrame(spec);
  storeU8(&frame[54], 60);  // the model writes the last kind into the first extension
  CHECK_EQ(parseFrame(frame).transport, TransportKind::kNone);
  checkInvariants(frame);
}

TEST("IPv6 with no next header and no payload is exact") {
  Bytes frame = buildFrame({.isIpv6 = true});
  frame.resize(54);
  storeU16(&frame[18], 0);
  storeU8(&frame[20], 59);
  CHECK_EQ(parseFrame(frame).lengthFit, LengthFit::kExact);
  CHECK_EQ(parseFrame(frame).transport, TransportKind::kNone);
}

TEST("no cut and no bit flip of any frame leads outside") {
  FrameSpec extended{.isIpv6 = true, .tagTypes = {0x88A8, 0x8100}, .extensionKind = 0};
  extended.extension = bytesOf({0, 0, 1, 4, 0, 0, 0, 0});
  for (const Bytes& frame : {buildFrame({}), buildFrame({.isTcp = false}), buildFrame(extended),
                             buildFrame({.isIpv6 = true})}) {
    for (std::size_t length = 0; length <= frame.size(); ++length) {
      // A copy of exactly this length, so that the sanitizer sees a read behind it.
      const Bytes cut(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(length));
      checkInvariants(cut);
    }
    for (std::size_t bit = 0; bit < frame.size() * 8; ++bit) {
      Bytes flipped = frame;
      flipped[bit / 8] ^= test::octet(1U << (bit % 8));
      checkInvariants(flipped);
    }
  }
}

TEST("random octets behind a random ether type never lead outside") {
  Random random(4);
  constexpr std::array<std::uint16_t, 6> kTypes{0x0800, 0x86DD, 0x8100, 0x88A8, 0x9100, 0x0806};
  for (int round = 0; round < 20000; ++round) {
    Bytes frame = test::randomBytes(random, test::below(random, 120));
    if (frame.size() >= 16) {
      storeU16(&frame[12], kTypes.at(test::below(random, kTypes.size())));
      storeU8(&frame[14], random() % 2 == 0 ? 0x45 : 0x60);
    }
    checkInvariants(frame);
  }
}

}  // namespace

}  // namespace vnetd

VNETD_TEST_MAIN()
