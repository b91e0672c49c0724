#include "offload/virtio-header.h"

#include "test/check.h"
#include "test/frame-model.h"

namespace vnetd {

namespace {

using test::buildFrame;
using test::buildPendingFrame;
using test::Bytes;
using test::bytesOf;
using test::FrameSpec;
using test::superHeaderOf;

FrameSpec specWith(bool isIpv6, bool isTcp, std::size_t payloadBytes) {
  FrameSpec spec{.isIpv6 = isIpv6, .isTcp = isTcp};
  spec.payload.assign(payloadBytes, std::byte{0x5A});
  return spec;
}

OutboundKind kindOf(const VirtioHeader& header, ByteSpan frame) {
  return checkOutbound(header, parseFrame(frame));
}

VirtioHeader pendingHeaderOf(const FrameSpec& spec) {
  VirtioHeader header = superHeaderOf(spec, 0);
  header.gsoType = kVirtioGsoNone;
  return header;
}

TEST("the ten octets are read in native order") {
  const Bytes bytes = bytesOf({1, 4, 0, 0, 0x34, 0x12, 54, 0, 16, 0});
  const VirtioHeader header = loadVirtioHeader(bytes);
  if constexpr (std::endian::native == std::endian::little) {
    CHECK(header == (VirtioHeader{1, 4, 0, 0x1234, 54, 16}));
  }
}

TEST("an all-zero header asks for nothing, of any frame") {
  CHECK_EQ(kindOf({}, buildFrame({})), OutboundKind::kPlain);
  CHECK_EQ(kindOf({}, Bytes(3)), OutboundKind::kPlain);
  CHECK_EQ(kindOf({.flags = 2}, buildFrame({})), OutboundKind::kPlain);
}

TEST("super-frames are known by type, whatever hdr_len says, behind tags and extensions too") {
  for (FrameSpec spec : test::specVariants(3000)) {
    spec.extension = spec.isIpv6 ? bytesOf({0, 0, 1, 4, 0, 0, 0, 0}) : Bytes{};
    spec.ipOptions = spec.isIpv6 ? Bytes{} : bytesOf({1, 1, 1, 0});
    VirtioHeader header = superHeaderOf(spec, 1400);
    for (const unsigned headerBytes : {0U, 54U, 3554U, 65535U}) {
      header.headerBytes = static_cast<std::uint16_t>(headerBytes);
      CHECK_EQ(kindOf(header, buildPendingFrame(spec)),
               spec.isTcp ? OutboundKind::kSuperTcp : OutboundKind::kSuperUdp);
    }
  }
}

TEST("TSO is accepted with the ECN bit and without NEEDS_CSUM, as Linux does") {
  const FrameSpec spec = specWith(false, true, 3000);
  VirtioHeader header = superHeaderOf(spec, 1400);
  header.gsoType |= kVirtioGsoEcn;
  CHECK_EQ(kindOf(header, buildPendingFrame(spec)), OutboundKind::kSuperTcp);
  header.flags = 0;
  header.checksumStart = 0;
  CHECK_EQ(kindOf(header, buildPendingFrame(spec)), OutboundKind::kSuperTcp);
}

struct HostileSuper {
  const char* why;
  FrameSpec spec;
  VirtioHeader header;
};

std::vector<HostileSuper> hostileSupers() {
  const FrameSpec tcp4 = specWith(false, true, 3000);
  const FrameSpec tcp6 = specWith(true, true, 3000);
  const FrameSpec udp4 = specWith(false, false, 3000);
  FrameSpec tagged = tcp4;
  tagged.tagTypes = {0x8100};
  FrameSpec fragment = tcp4;
  fragment.ipFlags = 0x2000;
  FrameSpec longHeader = tcp6;
  longHeader.extensionKind = 60;
  longHeader.extension = test::concat(bytesOf({0, 29, 1, 236}), Bytes(236));
  FrameSpec routed = tcp6;
  routed.extensionKind = 43;
  routed.extension = bytesOf({0, 0, 2, 1, 0, 0, 0, 0});
  std::vector<HostileSuper> cases;
  const auto add = [&](const char* why, const FrameSpec& spec, auto change) {
    VirtioHeader header = superHeaderOf(spec, 1400);
    change(header);
    cases.push_back({why, spec, header});
  };
  add("gso_size 0", tcp4, [](VirtioHeader& header) { header.gsoSize = 0; });
  add("TSO6 of IPv4", tcp4, [](VirtioHeader& header) { header.gsoType = kVirtioGsoTcp6; });
  add("TSO4 of IPv6", tcp6, [](VirtioHeader& header) { header.gsoType = kVirtioGsoTcp4; });
  add("TSO of UDP", udp4, [](VirtioHeader& header) { header.gsoType = kVirtioGsoTcp4; });
  add("USO of TCP", tcp4, [](VirtioHeader& header) { header.gsoType = kVirtioGsoUdpL4; });
  add("USO with ECN", udp4, [](VirtioHeader& header) { header.gsoType |= kVirtioGsoEcn; });
  add("USO without NEEDS_CSUM", udp4, [](VirtioHeader& header) { header.flags = 0; });
  add("UFO", udp4, [](VirtioHeader& header) { header.gsoType = kVirtioGsoUdpFragments; });
  add("type 2", tcp4, [](VirtioHeader& header) { header.gsoType = 2; });
  add("type 0x21, a UDP tunnel", tcp4, [](VirtioHeader& header) { header.gsoType = 0x21; });
  add("ECN alone", tcp4, [](VirtioHeader& header) { header.gsoType = kVirtioGsoEcn; });
  add("csum_start of no Ethernet", tcp4, [](VirtioHeader& header) { header.checksumStart = 20; });
  add("csum_start without the tag", tagged,
      [](VirtioHeader& header) { header.checksumStart = 34; });
  add("csum_start outside", tcp4, [](VirtioHeader& header) { header.checksumStart = 65535; });
  add("csum_offset of UDP", tcp4, [](VirtioHeader& header) { header.checksumOffset = 6; });
  add("csum_offset of TCP", udp4, [](VirtioHeader& header) { header.checksumOffset = 16; });
  add("csum_offset outside", tcp4, [](VirtioHeader& header) { header.checksumOffset = 65535; });
  add("a fragment", fragment, [](VirtioHeader&) {});
  add("headers of 354 octets", longHeader, [](VirtioHeader&) {});
  add("a route and no pending sum", routed, [](VirtioHeader& header) { header.flags = 0; });
  return cases;
}

TEST("every super-frame that does not fit its header is refused") {
  for (const HostileSuper& test : hostileSupers()) {
    const OutboundKind kind = kindOf(test.header, buildPendingFrame(test.spec));
    if (kind != OutboundKind::kInvalid) {
      std::fprintf(stderr, "accepted: %s\n", test.why);
    }
    CHECK_EQ(kind, OutboundKind::kInvalid);
  }
}

TEST("a super-frame cut anywhere in its headers is refused") {
  for (const bool isIpv6 : {false, true}) {
    for (const bool isTcp : {false, true}) {
      const FrameSpec spec = specWith(isIpv6, isTcp, 100);
      const Bytes frame = buildPendingFrame(spec);
      for (std::size_t length = 0; length < headerBytesOf(spec); ++length) {
        CHECK_EQ(kindOf(superHeaderOf(spec, 50), ByteSpan(frame).first(length)),
                 OutboundKind::kInvalid);
      }
    }
  }
}

void checkCompletion(const FrameSpec& spec) {
  Bytes frame = buildPendingFrame(spec);
  Bytes expected = buildFrame(spec);
  // What the padding holds must not count.
  for (std::size_t back = 1; back <= spec.paddingBytes; ++back) {
    frame[frame.size() - back] = expected[frame.size() - back] = std::byte{0x77};
  }
  const FrameLayout layout = parseFrame(frame);
  const VirtioHeader header = pendingHeaderOf(spec);
  REQUIRE(checkOutbound(header, layout) == OutboundKind::kNeedsChecksum);
  CHECK(checksumIsPending(header, layout));
  completeChecksum(frame, layout, header);
  CHECK(frame == expected);
}

TEST("a pending checksum is completed to the right one, padding left out") {
  for (FrameSpec spec : test::specVariants(33)) {
    checkCompletion(spec);
    spec.paddingBytes = 7;
    checkCompletion(spec);
  }
}

TEST("a UDP checksum that comes out as 0 is sent as ones") {
  FrameSpec spec = specWith(false, false, 2);
  spec.payload = Bytes(2);
  // The payload takes the value that makes the sum all ones.
  const Bytes zero = buildFrame(spec);
  storeU16(spec.payload.data(), loadU16(&zero[40]));
  Bytes frame = buildPendingFrame(spec);
  completeChecksum(frame, 34, 6);
  CHECK_EQ(loadU16(&frame[40]), 0xFFFF);
}

TEST("the inner checksum of a guest's tunnel is completed, the outer one left alone") {
  // VXLAN of the guest's own: UDP with checksum 0 around a pending TCP frame.
  const FrameSpec inner = specWith(false, true, 200);
  FrameSpec outer = specWith(false, false, 0);
  outer.hasUdpChecksum = false;
  outer.payload = test::concat(bytesOf({8, 0, 0, 0, 0, 0, 1, 0}), buildPendingFrame(inner));
  Bytes frame = buildFrame(outer);
  const VirtioHeader header{.flags = kVirtioNeedsChecksum,
                            .checksumStart = static_cast<std::uint16_t>(42 + 8 + 34),
                            .checksumOffset = 16};
  const FrameLayout layout = parseFrame(frame);
  REQUIRE(checkOutbound(header, layout) == OutboundKind::kNeedsChecksum);
  CHECK(!checksumIsPending(header, layout));
  completeChecksum(frame, layout, header);
  outer.payload = test::concat(bytesOf({8, 0, 0, 0, 0, 0, 1, 0}), buildFrame(inner));
  CHECK(frame == buildFrame(outer));
}

void checkEveryPlace(const FrameSpec& spec) {
  const Bytes frame = buildPendingFrame(spec);
  VirtioHeader header = pendingHeaderOf(spec);
  for (std::size_t start = 0; start <= frame.size(); ++start) {
    for (std::size_t offset = 0; offset < 70; ++offset) {
      header.checksumStart = static_cast<std::uint16_t>(start);
      header.checksumOffset = static_cast<std::uint16_t>(offset);
      const std::size_t field = start + offset;
      const bool isOwn = start == l4OffsetOf(spec) && field == checksumAtOf(spec);
      const bool isBehind = start >= headerBytesOf(spec) && field + 2 <= frame.size();
      CHECK_EQ(kindOf(header, frame) == OutboundKind::kNeedsChecksum, isOwn || isBehind);
    }
  }
}

TEST("no checksum may be written onto what a switch judged the frame by") {
  for (const FrameSpec& spec : test::specVariants(60)) {
    checkEveryPlace(spec);
  }
}

TEST("a checksum outside the frame or the packet is refused") {
  FrameSpec spec = specWith(false, true, 60);
  spec.paddingBytes = 20;
  const Bytes frame = buildPendingFrame(spec);
  VirtioHeader header = pendingHeaderOf(spec);
  for (const unsigned start : {112U, 113U, 120U, 133U, 134U, 65535U}) {
    for (const unsigned offset : {0U, 1U, 65535U}) {
      header.checksumStart = static_cast<std::uint16_t>(start);
      header.checksumOffset = static_cast<std::uint16_t>(offset);
      const bool isInside = start == 112 && offset == 0;
      CHECK_EQ(kindOf(header, frame) == OutboundKind::kNeedsChecksum, isInside);
    }
  }
}

TEST("ARP, ICMP, neighbour discovery, fragments and broken IP never need a checksum") {
  const VirtioHeader header{
      .flags = kVirtioNeedsChecksum, .checksumStart = 34, .checksumOffset = 4};
  Bytes arp = buildFrame({});
  storeU16(&arp[12], 0x0806);
  CHECK_EQ(kindOf(header, arp), OutboundKind::kInvalid);
  Bytes icmp = buildFrame({});
  storeU8(&icmp[23], 1);
  CHECK_EQ(kindOf(header, icmp), OutboundKind::kInvalid);
  Bytes neighbour = buildFrame(specWith(true, true, 60));
  storeU8(&neighbour[20], 58);
  CHECK_EQ(kindOf({.flags = 1, .checksumStart = 54, .checksumOffset = 8}, neighbour),
           OutboundKind::kInvalid);
  FrameSpec fragment = specWith(false, true, 60);
  fragment.ipFlags = 0x2000;
  CHECK_EQ(kindOf(pendingHeaderOf(fragment), buildFrame(fragment)), OutboundKind::kInvalid);
  Bytes otherFragment = buildFrame(fragment);
  storeU8(&otherFragment[23], 47);  // GRE
  CHECK_EQ(kindOf({.flags = 1, .checksumStart = 60, .checksumOffset = 6}, otherFragment),
           OutboundKind::kInvalid);
  Bytes broken = buildFrame({});
  storeU8(&broken[14], 0x05);
  CHECK_EQ(kindOf({.flags = 1, .checksumStart = 34, .checksumOffset = 16}, broken),
           OutboundKind::kInvalid);
  storeU8(&broken[14], 0x45);
  storeU8(&broken[46], 0x10);
  CHECK_EQ(kindOf({.flags = 1, .checksumStart = 34, .checksumOffset = 16}, broken),
           OutboundKind::kInvalid);
}

TEST("other protocols than TCP and UDP may have theirs behind the IP header") {
  Bytes frame = buildFrame(specWith(false, true, 60));
  storeU8(&frame[23], 136);  // UDP-Lite
  CHECK_EQ(kindOf({.flags = 1, .checksumStart = 34, .checksumOffset = 6}, frame),
           OutboundKind::kNeedsChecksum);
  CHECK_EQ(kindOf({.flags = 1, .checksumStart = 33, .checksumOffset = 6}, frame),
           OutboundKind::kInvalid);
}

}  // namespace

}  // namespace vnetd

VNETD_TEST_MAIN()
