#include "offload/coalesce.h"

#include <functional>

#include "test/check.h"
#include "test/coalesce-model.h"
#include "test/frame-model.h"

namespace vnetd {

namespace {

using test::buildFrame;
using test::Bytes;
using test::bytesOf;
using test::CoalesceJudge;
using test::FrameSpec;
using Sizes = std::vector<std::uint32_t>;

// A vnet is only an address to the coalescer. It hashes it, so these are the same in every run:
// with addresses that the loader chose, one run in 256 had two flows share what a fragment closes.
void* vnetOf(std::size_t index) {
  return reinterpret_cast<void*>(0x1000 * (index + 1));  // NOLINT(performance-no-int-to-ptr)
}

Coalescer& makeCoalescer(bool tcp = true, bool udp = true) {
  static std::deque<Coalescer> made;
  return made.emplace_back(CoalesceOptions{.tcp = tcp, .udp = udp, .hashSeed = 42});
}

FrameSpec specOf(bool isIpv6, bool isTcp, std::size_t payloadBytes) {
  FrameSpec spec{.isIpv6 = isIpv6, .isTcp = isTcp};
  spec.payload.assign(payloadBytes, std::byte{0x3C});
  return spec;
}

FrameSpec following(const FrameSpec& spec) {
  FrameSpec next = spec;
  next.sequence += static_cast<std::uint32_t>(spec.payload.size());
  next.ipId = static_cast<std::uint16_t>(next.ipId + 1U);
  return next;
}

// Feeds the frames in order; the frame counts of the outputs, which the judge found right.
Sizes sizesOf(Coalescer& coalescer, const std::vector<Bytes>& frames) {
  CoalesceJudge judge(coalescer);
  for (const Bytes& frame : frames) {
    judge.feed(vnetOf(0), frame);
  }
  CHECK_EQ(judge.flush(), std::string());
  return judge.outputSizes;
}

TEST("consecutive frames become one super-frame, for every family, transport and tagging") {
  for (FrameSpec spec : test::specVariants(1000)) {
    std::vector<Bytes> frames;
    for (int count = 0; count < 5; ++count, spec = following(spec)) {
      frames.push_back(buildFrame(spec));
    }
    spec.payload.resize(333);
    spec.tcpFlags |= 0x08;
    frames.push_back(buildFrame(spec));
    Coalescer& coalescer = makeCoalescer();
    // Linux would lose a super-frame behind a tag of the old type.
    const bool isOldTag = !spec.tagTypes.empty() && spec.tagTypes[0] == 0x9100;
    CHECK(sizesOf(coalescer, frames) == (isOldTag ? Sizes(6, 1) : Sizes{6}));
    CHECK_EQ(coalescer.counts().mergedFrames, isOldTag ? 0 : 5);
  }
}

struct PairCase {
  const char* difference;
  bool isTcp;
  std::function<void(FrameSpec&)> change;  // of the second frame
  bool isMerged;
};

TEST("a second frame is merged only if segmentation would give it back") {
  const std::vector<PairCase> cases = {
      {"nothing", true, [](FrameSpec&) {}, true},
      {"nothing", false, [](FrameSpec&) {}, true},
      {"PSH", true, [](FrameSpec& spec) { spec.tcpFlags |= 0x08; }, true},
      {"shorter", true, [](FrameSpec& spec) { spec.payload.resize(1); }, true},
      {"shorter", false, [](FrameSpec& spec) { spec.payload.resize(1); }, true},
      {"longer", true, [](FrameSpec& spec) { spec.payload.resize(101); }, false},
      {"longer", false, [](FrameSpec& spec) { spec.payload.resize(101); }, false},
      {"no payload", true, [](FrameSpec& spec) { spec.payload.clear(); }, false},
      {"no payload", false, [](FrameSpec& spec) { spec.payload.clear(); }, false},
      {"a gap", true, [](FrameSpec& spec) { spec.sequence += 1; }, false},
      {"a repetition", true, [](FrameSpec& spec) { spec.sequence -= 100; }, false},
      {"acknowledgement", true, [](FrameSpec& spec) { spec.acknowledgement += 1; }, false},
      {"window", true, [](FrameSpec& spec) { spec.window += 1; }, false},
      {"FIN", true, [](FrameSpec& spec) { spec.tcpFlags |= 0x01; }, false},
      {"SYN", true, [](FrameSpec& spec) { spec.tcpFlags |= 0x02; }, false},
      {"RST", true, [](FrameSpec& spec) { spec.tcpFlags |= 0x04; }, false},
      {"no ACK", true, [](FrameSpec& spec) { spec.tcpFlags = 0; }, false},
      {"URG", true, [](FrameSpec& spec) { spec.tcpFlags |= 0x20; }, false},
      {"ECE", true, [](FrameSpec& spec) { spec.tcpFlags |= 0x40; }, false},
      {"CWR", true, [](FrameSpec& spec) { spec.tcpFlags |= 0x80; }, false},
      {"AE", true, [](FrameSpec& spec) { spec.tcpFlags |= 0x100; }, false},
      {"urgent pointer", true, [](FrameSpec& spec) { spec.urgent = 1; }, false},
      {"options", true, [](FrameSpec& spec) { spec.tcpOptions[3] = std::byte{9}; }, false},
      {"no options", true, [](FrameSpec& spec) { spec.tcpOptions.clear(); }, false},
      {"traffic class", true, [](FrameSpec& spec) { spec.trafficClass = 3; }, false},
      {"traffic class", false, [](FrameSpec& spec) { spec.trafficClass = 4; }, false},
      {"hop limit", true, [](FrameSpec& spec) { spec.hopLimit = 63; }, false},
      {"hop limit", false, [](FrameSpec& spec) { spec.hopLimit = 63; }, false},
      {"padding", true, [](FrameSpec& spec) { spec.paddingBytes = 1; }, false},
      {"padding", false, [](FrameSpec& spec) { spec.paddingBytes = 1; }, false},
      {"no UDP checksum", false, [](FrameSpec& spec) { spec.hasUdpChecksum = false; }, false},
      {"source port", true, [](FrameSpec& spec) { spec.sourcePort = 1; }, false},
      {"destination port", false, [](FrameSpec& spec) { spec.destinationPort = 1; }, false},
      {"source host", true, [](FrameSpec& spec) { spec.sourceHost = 3; }, false},
      {"destination host", false, [](FrameSpec& spec) { spec.destinationHost = 3; }, false},
      {"tag", true, [](FrameSpec& spec) { spec.tagTypes = {0x8100}; }, false},
  };
  for (const PairCase& test : cases) {
    for (const bool isIpv6 : {false, true}) {
      FrameSpec head = specOf(isIpv6, test.isTcp, 100);
      head.tcpOptions = bytesOf({1, 1, 1, 1});
      FrameSpec second = following(head);
      test.change(second);
      const Sizes sizes = sizesOf(makeCoalescer(), {buildFrame(head), buildFrame(second)});
      if (sizes.size() != (test.isMerged ? 1U : 2U)) {
        std::fprintf(stderr, "wrong for: %s (%s)\n", test.difference, test.isTcp ? "TCP" : "UDP");
      }
      CHECK_EQ(sizes.size(), test.isMerged ? 1 : 2);
    }
  }
}

TEST("where DF is clear the IPv4 IDs must follow each other; where it is set they need not") {
  for (const bool isTcp : {false, true}) {
    for (const unsigned flags : {0x0000U, 0x4000U}) {
      for (const int step : {1, 0, 2}) {
        FrameSpec head = specOf(false, isTcp, 100);
        head.ipFlags = static_cast<std::uint16_t>(flags);
        head.ipId = 0xFFFF;
        FrameSpec second = following(head);
        second.ipId = static_cast<std::uint16_t>(head.ipId + step);
        const Sizes sizes = sizesOf(makeCoalescer(), {buildFrame(head), buildFrame(second)});
        CHECK_EQ(sizes.size(), step == 1 || flags == 0x4000 ? 1 : 2);
      }
    }
  }
}

TEST("IPv4 options, IPv6 extensions and the reserved flag's change are never merged") {
  FrameSpec options = specOf(false, true, 100);
  options.ipOptions = bytesOf({1, 1, 1, 1});
  CHECK(sizesOf(makeCoalescer(), {buildFrame(options), buildFrame(following(options))}) ==
        (Sizes{1, 1}));
  FrameSpec extension = specOf(true, true, 100);
  extension.extension = bytesOf({0, 0, 1, 4, 0, 0, 0, 0});
  CHECK(sizesOf(makeCoalescer(), {buildFrame(extension), buildFrame(following(extension))}) ==
        (Sizes{1, 1}));
  const FrameSpec head = specOf(false, true, 100);
  FrameSpec reserved = following(head);
  reserved.ipFlags = 0xC000;
  CHECK(sizesOf(makeCoalescer(), {buildFrame(head), buildFrame(reserved)}) == (Sizes{1, 1}));
}

TEST("frames to a group address are never merged") {
  for (const bool isTcp : {false, true}) {
    const FrameSpec head = specOf(false, isTcp, 100);
    Bytes first = buildFrame(head);
    Bytes second = buildFrame(following(head));
    first[0] = second[0] = std::byte{3};
    CHECK(sizesOf(makeCoalescer(), {first, second}) == (Sizes{1, 1}));
  }
}

TEST("vnets are not mixed, nor source MACs and tags behind the same addresses") {
  const FrameSpec head = specOf(false, true, 100);
  const Bytes first = buildFrame(head);
  const Bytes second = buildFrame(following(head));
  CoalesceJudge judge(makeCoalescer());
  judge.feed(vnetOf(0), first);
  judge.feed(vnetOf(1), second);
  CHECK_EQ(judge.flush(), std::string());
  CHECK(judge.outputSizes == (Sizes{1, 1}));
  Bytes otherMac = second;
  otherMac[11] = std::byte{0x77};
  CHECK(sizesOf(makeCoalescer(), {first, otherMac}) == (Sizes{1, 1}));
  FrameSpec tagged = head;
  tagged.tagTypes = {0x8100};
  Bytes otherTag = buildFrame(following(tagged));
  otherTag[15] = std::byte{0x99};
  CHECK(sizesOf(makeCoalescer(), {buildFrame(tagged), otherTag}) == (Sizes{1, 1}));
}

TEST("the same flow in two vnets is not mixed wherever the hash puts it") {
  std::uint16_t port = 0;
  for (int batch = 0; batch < 40; ++batch) {
    CoalesceJudge judge(makeCoalescer());
    for (std::size_t count = 0; count < kCoalesceBatchFrames; count += 2, ++port) {
      FrameSpec spec = specOf(false, true, 10);
      spec.sourcePort = port;
      judge.feed(vnetOf(0), buildFrame(spec));
      judge.feed(vnetOf(1), buildFrame(following(spec)));
    }
    CHECK_EQ(judge.flush(), std::string());
    CHECK_EQ(judge.outputSizes.size(), kCoalesceBatchFrames);
  }
}

TEST("datagrams without a checksum pass unmerged and are not called bad") {
  FrameSpec spec = specOf(false, false, 100);
  spec.hasUdpChecksum = false;
  Coalescer& coalescer = makeCoalescer();
  CHECK(sizesOf(coalescer, {buildFrame(spec), buildFrame(following(spec))}) == (Sizes{1, 1}));
  CHECK_EQ(coalescer.counts().checksumBadFrames, 0);
}

struct ChecksumCase {
  const char* where;
  std::size_t at;        // octet to spoil
  std::size_t badIndex;  // of three frames
  Sizes sizes;
};

TEST("a frame with a wrong checksum passes unmerged and unchanged, and is counted once") {
  const std::vector<ChecksumCase> cases = {
      {"payload of the first", 80, 0, {1, 2}},
      {"payload of the second", 80, 1, {1, 1, 1}},
      {"payload of the third", 80, 2, {2, 1}},
      {"TCP checksum of the second", 50, 1, {1, 1, 1}},
      {"IPv4 checksum of the first", 24, 0, {1, 2}},
      {"IPv4 checksum of the third", 24, 2, {2, 1}},
  };
  for (const ChecksumCase& test : cases) {
    const FrameSpec head = specOf(false, true, 100);
    std::vector<Bytes> frames = {buildFrame(head), buildFrame(following(head)),
                                 buildFrame(following(following(head)))};
    frames[test.badIndex][test.at] ^= std::byte{0x10};
    Coalescer& coalescer = makeCoalescer();
    const Sizes sizes = sizesOf(coalescer, frames);
    if (sizes != test.sizes) {
      std::fprintf(stderr, "wrong for: %s\n", test.where);
    }
    CHECK(sizes == test.sizes);
    CHECK_EQ(coalescer.counts().checksumBadFrames, 1);
  }
}

TEST("an IPv6 datagram that was corrupted on the way is not laundered") {
  const FrameSpec head = specOf(true, false, 100);
  Bytes second = buildFrame(following(head));
  storeU16(&second[62], 0x1234);
  Coalescer& coalescer = makeCoalescer();
  CHECK(sizesOf(coalescer, {buildFrame(head), second}) == (Sizes{1, 1}));
  CHECK_EQ(coalescer.counts().checksumBadFrames, 1);
}

TEST("frames that cannot be merged close their flow's chain, and others' stay open") {
  const FrameSpec flow = specOf(false, true, 100);
  FrameSpec other = flow;
  other.sourcePort = 7;
  FrameSpec fin = following(flow);
  fin.tcpFlags |= 0x01;
  FrameSpec third = following(fin);
  third.tcpFlags = 0x10;
  const Sizes sizes = sizesOf(
      makeCoalescer(), {buildFrame(flow), buildFrame(other), buildFrame(fin), buildFrame(third),
                        buildFrame(following(other)), buildFrame(following(third))});
  CHECK(sizes == (Sizes{1, 2, 1, 2}));
}

TEST("a frame with PSH ends its super-frame, as first and as last") {
  FrameSpec spec = specOf(false, true, 100);
  std::vector<Bytes> frames;
  for (int count = 0; count < 6; ++count, spec = following(spec)) {
    spec.tcpFlags = count == 0 || count == 3 ? 0x18 : 0x10;
    frames.push_back(buildFrame(spec));
  }
  CHECK(sizesOf(makeCoalescer(), frames) == (Sizes{1, 3, 2}));
}

TEST("fragments close the chains between their addresses only") {
  const FrameSpec flow = specOf(false, false, 100);
  FrameSpec elsewhere = flow;
  elsewhere.destinationHost = 9;
  FrameSpec fragment = flow;
  fragment.ipFlags = 0x2000;
  const Sizes sizes =
      sizesOf(makeCoalescer(), {buildFrame(flow), buildFrame(elsewhere), buildFrame(fragment),
                                buildFrame(following(flow)), buildFrame(following(elsewhere)),
                                buildFrame(following(following(flow)))});
  CHECK(sizes == (Sizes{1, 2, 1, 2}));
}

TEST("ARP, LLDP and frames too short for anything pass between without closing") {
  const FrameSpec flow = specOf(false, true, 100);
  Bytes arp = buildFrame({});
  storeU16(&arp[12], 0x0806);
  const Sizes sizes = sizesOf(makeCoalescer(), {buildFrame(flow), arp, Bytes(), Bytes(5), Bytes(13),
                                                buildFrame(following(flow))});
  CHECK(sizes == (Sizes{2, 1, 1, 1, 1}));
}

Sizes sizesOfStream(const FrameSpec& first, int frameCount) {
  FrameSpec spec = first;
  std::vector<Bytes> frames;
  for (int count = 0; count < frameCount; ++count, spec = following(spec)) {
    frames.push_back(buildFrame(spec));
  }
  return sizesOf(makeCoalescer(), frames);
}

TEST("a super-frame holds at most 64 datagrams or 256 segments and 65,535 octets") {
  CHECK(sizesOfStream(specOf(false, false, 10), 130) == (Sizes{64, 64, 2}));
  CHECK(sizesOfStream(specOf(false, true, 10), 600) == (Sizes{256, 256, 88}));
  CHECK(sizesOfStream(specOf(false, true, 1448), 50) == (Sizes{45, 5}));
  CHECK(sizesOfStream(specOf(true, true, 8192), 9) == (Sizes{7, 2}));
  CHECK(sizesOfStream(specOf(true, false, 30000), 3) == (Sizes{2, 1}));
}

TEST("an offload that is off merges nothing of its kind, and can be switched") {
  Coalescer& coalescer = makeCoalescer(false, true);
  const FrameSpec tcp = specOf(false, true, 100);
  const FrameSpec udp = specOf(false, false, 100);
  const std::vector<Bytes> frames = {buildFrame(tcp), buildFrame(udp), buildFrame(following(tcp)),
                                     buildFrame(following(udp))};
  CHECK(sizesOf(coalescer, frames) == (Sizes{1, 2, 1}));
  coalescer.setOffloads(true, false);
  CHECK(sizesOf(coalescer, frames) == (Sizes{2, 1, 1}));
}

TEST("a full batch of as many flows keeps every frame, and the next batch starts anew") {
  Coalescer& coalescer = makeCoalescer();
  for (int batch = 0; batch < 3; ++batch) {
    CoalesceJudge judge(coalescer);
    FrameSpec spec = specOf(false, true, 10);
    for (std::size_t count = 0; count < kCoalesceBatchFrames; ++count) {
      CHECK(!coalescer.isFull());
      spec.sourcePort = static_cast<std::uint16_t>(count / 2);
      spec.sequence = count % 2 == 0 ? 1000 : 1010;
      judge.feed(vnetOf(0), buildFrame(spec));
    }
    CHECK(coalescer.isFull());
    CHECK_EQ(judge.flush(), std::string());
    // The odd flow may find its corner of the table full.
    CHECK(judge.outputSizes.size() < kCoalesceBatchFrames / 2 + 20);
  }
}

struct RandomChoice {
  test::Random random;
  std::uint64_t below(std::uint64_t bound) { return test::below(random, bound); }
};

TEST("random interleavings keep every flow's frames whole and in order") {
  Coalescer& coalescer = makeCoalescer();
  std::size_t outputCount = 0;
  for (unsigned seed = 0; seed < 400; ++seed) {
    RandomChoice choice{test::Random(seed)};
    test::Traffic traffic(choice);
    CoalesceJudge judge(coalescer);
    for (std::uint64_t count = 1 + choice.below(150); count > 0; --count) {
      judge.feed(vnetOf(choice.below(32) == 0 ? 1 : 0), traffic.next());
    }
    const std::string error = judge.flush();
    CHECK_EQ(error, std::string());
    outputCount += judge.outputSizes.size();
  }
  // The generator is of use only while much is merged, and some is bad.
  CHECK(coalescer.counts().mergedFrames > outputCount / 2);
  CHECK(coalescer.counts().checksumBadFrames > 50);
}

}  // namespace

}  // namespace vnetd

VNETD_TEST_MAIN()
