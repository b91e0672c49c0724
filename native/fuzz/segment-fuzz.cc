// checkOutbound on any virtio header and frame; then what it lets through is completed or cut,
// and the result is judged: lengths, payload, checksums, and that nothing but the checksum field
// changed.
#include <vector>

#include "fuzz/fuzz-input.h"
#include "offload/partial-checksum.h"
#include "offload/segment.h"
#include "test/frame-model.h"

namespace vnetd {

namespace {

using fuzz::FuzzInput;
using test::Bytes;

Bytes pseudoHeader(ByteSpan frame, const FrameLayout& layout) {
  const ByteSpan addresses = ipAddresses(frame, layout);
  Bytes pseudo(addresses.begin(), addresses.end());
  test::appendU32(pseudo, layout.ipProtocol);
  test::appendU32(pseudo, frame.size() - layout.l4Offset);
  return pseudo;
}

void checkSegment(ByteSpan super, const FrameLayout& layout, const Segment& segment) {
  const Bytes frame = test::concat(segment.header, segment.payload);
  const FrameLayout made = parseFrame(frame);
  fuzz::require(made.lengthFit == LengthFit::kExact, "the IP length is the segment's");
  fuzz::require(made.headersEnd() == layout.headersEnd() && made.transport == layout.transport,
                "the headers are the super-frame's");
  fuzz::require(std::equal(frame.begin(), frame.begin() + layout.l3Offset, super.begin()),
                "the Ethernet header is the super-frame's");
  const ByteSpan whole(frame);
  if (made.network == NetworkKind::kIpv4) {
    const ByteSpan ip = whole.subspan(made.l3Offset, made.l4Offset - made.l3Offset);
    fuzz::require(test::slowSum(ip) == 0xFFFF, "the IPv4 checksum is right");
  }
  if (!layout.hasRoutingHeader) {
    fuzz::require(test::slowSum(whole.subspan(made.l4Offset),
                                test::slowSum(pseudoHeader(frame, made))) == 0xFFFF,
                  "the TCP or UDP checksum is right");
  }
}

// The same cut with the checksums left to the receiver: completed there, they are right.
void checkPartial(const SegmentRequest& request, std::size_t segmentCount) {
  static std::vector<std::byte> arena(segmentArenaBytes(255));
  static std::vector<Segment> storage(kMaxSegments);
  const SegmentResult result = segmentSuperFrame(request, arena, storage);
  fuzz::require(result.segments.size() == segmentCount, "it is cut as with complete checksums");
  for (const Segment& segment : result.segments) {
    Bytes frame = test::concat(segment.header, segment.payload);
    const FrameLayout layout = parseFrame(frame);
    if (!hasPartialChecksum(frame, layout)) {
      continue;
    }
    const Bytes cut = frame;
    storePseudoSum(frame, layout);
    fuzz::require(frame == cut, "the field is the sum that the receiver finds");
    completePseudoSum(frame, layout);
    checkSegment(request.frame, request.layout, {.header = frame, .payload = {}});
  }
}

void checkSuperFrame(FuzzInput& input, ByteSpan frame, const FrameLayout& layout,
                     const VirtioHeader& header, std::size_t maxFrameBytes) {
  const std::size_t headroomBytes = input.u8();
  static std::vector<std::byte> arena(segmentArenaBytes(255));
  static std::vector<Segment> storage(kMaxSegments);
  const SegmentResult result =
      segmentSuperFrame({frame, layout, header, maxFrameBytes, headroomBytes}, arena, storage);
  const bool isTcp = layout.transport == TransportKind::kTcp;
  if (result.outcome == SegmentResult::Outcome::kTooMany) {
    fuzz::require((frame.size() - layout.headersEnd()) / header.gsoSize >= kMaxUdpSegments ||
                      (isTcp && maxFrameBytes < layout.headersEnd() + 200),
                  "only tiny segments are too many");
    return;
  }
  if (result.outcome == SegmentResult::Outcome::kNoRoom) {
    fuzz::require(isTcp && maxFrameBytes <= layout.headersEnd(), "only tiny paths have no room");
    return;
  }
  const std::byte* payloadAt = frame.data() + layout.headersEnd();
  const std::size_t chunkBytes = result.segments[0].payload.size();
  for (const Segment& segment : result.segments) {
    fuzz::require(segment.payload.data() == payloadAt, "the payloads follow each other");
    payloadAt += segment.payload.size();
    fuzz::require(segment.payload.size() <= chunkBytes && segment.payload.size() <= header.gsoSize,
                  "no segment is longer than the first or gso_size");
    fuzz::require(segment.payload.size() == chunkBytes || &segment == &result.segments.back(),
                  "only the last is shorter");
    fuzz::require(!isTcp || segment.header.size() + segment.payload.size() <= maxFrameBytes,
                  "TCP fits the path");
    checkSegment(frame, layout, segment);
  }
  fuzz::require(payloadAt == frame.data() + frame.size(), "no payload is lost");
  checkPartial({frame, layout, header, maxFrameBytes, headroomBytes, true}, result.segments.size());
}

void checkCompletion(ByteSpan frame, const FrameLayout& layout, const VirtioHeader& header) {
  Bytes completed(frame.begin(), frame.end());
  completeChecksum(completed, layout, header);
  const std::size_t field = std::size_t{header.checksumStart} + header.checksumOffset;
  fuzz::require(field >= layout.l4Offset, "no address, tag or MAC is written");
  for (std::size_t at = 0; at < frame.size(); ++at) {
    fuzz::require(completed[at] == frame[at] || at == field || at == field + 1,
                  "only the checksum field is written");
  }
  const FrameLayout after = parseFrame(completed);
  fuzz::require(after.transport == layout.transport && after.headersEnd() == layout.headersEnd(),
                "the frame is still what it was judged to be");
}

// Half of the inputs are a raw frame, half a well-formed one that is then spoiled.
Bytes makeFrame(FuzzInput& input, VirtioHeader& header) {
  const std::uint8_t shape = input.u8();
  if ((shape & 1U) == 0) {
    const ByteSpan octets = input.take(kVirtioHeaderBytes);
    Bytes padded(octets.begin(), octets.end());
    padded.resize(kVirtioHeaderBytes);
    header = loadVirtioHeader(padded);
    const ByteSpan frame = input.take(input.rest().size());
    return {frame.begin(), frame.end()};
  }
  test::FrameSpec spec;
  spec.isIpv6 = (shape & 2U) != 0;
  spec.isTcp = (shape & 4U) != 0;
  spec.tagTypes.assign((shape >> 3U) % 3, kEtherTypeVlan);
  spec.tcpFlags = input.u16() & 0xFFFU;
  spec.ipId = input.u16();
  spec.sequence = 0xFFFF'0000U | input.u16();
  spec.tcpOptions.assign(4 * input.below(11), std::byte{1});
  if (spec.isIpv6 && (shape & 0x40U) != 0) {
    spec.extensionKind = (shape & 0x20U) != 0 ? 43 : 60;
    spec.extension = test::bytesOf({0, 0, 1, input.u8(), 0, 0, 0, 0});
  } else {
    spec.ipOptions.assign((shape & 0x40U) != 0 ? 8 : 0, std::byte{1});
  }
  header = superHeaderOf(spec, input.u16());
  header.gsoType = (shape & 0x80U) != 0 ? kVirtioGsoNone : header.gsoType;
  const std::size_t fillBytes = input.below(8) == 0 ? input.below(2000) : input.below(200);
  const ByteSpan octets = input.take(input.rest().size() / 2);
  spec.payload.assign(octets.begin(), octets.end());
  spec.payload.resize(spec.payload.size() + fillBytes, std::byte{0xC3});
  Bytes frame = buildPendingFrame(spec);
  for (std::uint64_t spoils = input.below(4); spoils > 1 && !input.isEmpty(); --spoils) {
    frame[input.below(std::min<std::size_t>(frame.size(), 120))] = test::octet(input.u8());
  }
  return frame;
}

void checkInput(FuzzInput input) {
  const std::size_t maxFrameBytes = input.u16();
  VirtioHeader header;
  // A copy of exactly its length, so that a read behind it is seen.
  const Bytes frame = makeFrame(input, header);
  const FrameLayout layout = parseFrame(frame);
  switch (checkOutbound(header, layout)) {
    case OutboundKind::kNeedsChecksum:
      checkCompletion(frame, layout, header);
      break;
    case OutboundKind::kSuperTcp:
    case OutboundKind::kSuperUdp:
      checkSuperFrame(input, frame, layout, header, maxFrameBytes);
      break;
    case OutboundKind::kPlain:
    case OutboundKind::kInvalid:
      break;
  }
}

}  // namespace

}  // namespace vnetd

// NOLINTNEXTLINE(readability-identifier-naming): the name libFuzzer calls.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  vnetd::checkInput({data, size});
  return 0;
}
