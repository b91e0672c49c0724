// What comes for secure vnets: ESP, opened here where we have its key, and VNC1, checked for its
// form and passed to vnetd, which can say whether it is authentic.
//
//   ESP ─▶ SA? ─▶ seen before? ─▶ open ─▶ seen ─▶ frame, or control message for vnetd
//           └──▶ held for a moment, vnetd asks
#include <algorithm>
#include <array>
#include <cstring>
#include <variant>

#include "host/clock.h"
#include "path/inbound-limits.h"
#include "path/inbound.h"
#include "wire/esp.h"
#include "wire/vnc1.h"

namespace vnetd {
namespace {

constexpr std::uint64_t kOwnSpiTellMs = 1'000;

// The counter of what a packet is dropped for.
Counter counterOf(OpenDrop reason) {
  switch (reason) {
    case OpenDrop::kIcv:
      return Counter::kDropEspForged;
    case OpenDrop::kNextHeader:
      return Counter::kDropEspNextHeader;
    case OpenDrop::kRuntFrame:
      return Counter::kDropRuntFrame;
    case OpenDrop::kLength:
    case OpenDrop::kCounter:
    case OpenDrop::kPadding:
    case OpenDrop::kEtherip:
      return Counter::kDropEspMalformed;
  }
  __builtin_unreachable();
}

// Was the packet authentic, whatever else is wrong with it?
bool isAuthentic(OpenDrop reason) {
  return reason != OpenDrop::kLength && reason != OpenDrop::kCounter && reason != OpenDrop::kIcv;
}

bool isForgery(const OpenOutcome& outcome) {
  const auto* const drop = std::get_if<OpenDrop>(&outcome);
  return drop != nullptr && !isAuthentic(*drop);
}

}  // namespace

Inbound::SealedLimiters Inbound::SealedLimiters::make() {
  return {.vnc1 = {HashKey::random(), kVnc1Limits, monotonicMs()},
          .unknownSpi = {HashKey::random(), kUnknownSpiLimits, monotonicMs()}};
}

Inbound::SealedLimiters& Inbound::limitersOf(const Endpoint& source) {
  return senders_.contains(Endpoint::from(source.ip(), 0)) ? senderLimiters_ : strangerLimiters_;
}

// ---- VNC1 -------------------------------------------------------------------------------

void Inbound::handleVnc1(ByteSpan message, const Origin& origin) {
  countDatagram(counters_, message.size(), origin);
  if (!limitersOf(origin.host).vnc1.admit(origin.host, nowMs_)) {
    counters_.add(Counter::kDropControlRate);
    return;
  }
  if (!passSealedOn(message, origin)) {
    return;
  }
  if (!hasSecureVnets_) {
    counters_.add(Counter::kDropUnknownMessage);
    return;
  }
  if (message.size() > kVnc1BytesMax || checkVnc1(message) != Vnc1Check::kGood) {
    counters_.add(Counter::kDropVncMalformed);
    return;
  }
  counters_.add(Counter::kVncIn);
  vnc1Event_.source = origin.host;
  vnc1Event_.via = static_cast<std::uint8_t>(origin.via);
  vnc1Event_.datagram.assign(message.begin(), message.end());
  events_.push(vnc1Event_);
}

// Group messages go on to where multicast does not carry them, unread: also those of vnets that we
// do not have. False: it came before, by another way. Without peers there is no other way, and the
// replay window knows a second copy by itself.
// HOT PATH: no allocation, no throw.
bool Inbound::passSealedOn(ByteSpan message, const Origin& origin) {
  if (origin.via == Via::kUnicast || view_->peers.empty()) {
    return true;
  }
  if (!admitGroup(message, origin)) {
    counters_.add(Counter::kDropDuplicate);
    return false;
  }
  passOn(message, origin);
  sender_.flush();  // Opening changes its octets.
  return true;
}

// ---- ESP --------------------------------------------------------------------------------

// HOT PATH: no allocation, no throw.
void Inbound::handleEsp(MutableByteSpan packet, const Origin& origin) {
  const std::uint32_t spi = decodeEspHeader(packet).spi;
  if (lastSa_ == nullptr || lastSa_->spi != spi) {
    const SpiTable<ReceiveSa>::Candidates found = sas_.find(spi);
    if (found.count != 1) {
      countDatagram(counters_, packet.size(), origin);
      if (!passSealedOn(packet, origin)) {
        return;
      }
      if (found.count == 0) {
        handleUnknownSpi(packet, origin);
      } else {
        openWithOneOf(found.all(), packet, origin);
      }
      return;
    }
    lastSa_ = found.sas[0];
  }
  countDatagram(countersOf(*lastSa_->vnet), packet.size(), origin);
  if (passSealedOn(packet, origin)) {
    openWith(*lastSa_, packet, origin);
  }
}

// HOT PATH: no allocation, no throw.
void Inbound::openWith(ReceiveSa& sa, MutableByteSpan packet, const Origin& origin) {
  if (sa.isOwn) {
    handleOwnSpi(sa, packet, origin);
    return;
  }
  if (const auto counter = admitCounter(sa, packet)) {
    takeOpened(sa, *counter, sa.key.open(packet), origin);
  }
}

// The counter of a packet that was not seen yet; none: counted and dropped.
// HOT PATH: no allocation, no throw.
std::optional<std::uint64_t> Inbound::admitCounter(ReceiveSa& sa, ByteSpan packet) {
  const std::optional<std::uint64_t> counter = packetCounter(sa.key.suite(), packet);
  if (!counter) {
    countersOf(*sa.vnet).add(Counter::kDropEspMalformed);
  } else if (sa.window.check(*counter) != ReplayWindow::Verdict::kFresh) {
    ++sa.replayed;
    countersOf(*sa.vnet).add(Counter::kDropEspReplay);
    return std::nullopt;
  }
  return counter;
}

// Several senders have drawn one SPI, or we have ourselves: who it was, only the ICV says.
void Inbound::openWithOneOf(std::span<ReceiveSa* const> sas, MutableByteSpan packet,
                            const Origin& origin) {
  bool isSeen = false;
  for (ReceiveSa* const sa : sas) {
    const std::optional<std::uint64_t> counter = packetCounter(sa->key.suite(), packet);
    if (!counter) {
      continue;
    }
    if (!sa->isOwn && sa->window.check(*counter) != ReplayWindow::Verdict::kFresh) {
      isSeen = true;
      continue;
    }
    const OpenOutcome outcome =
        sa->key.open(packet, MutableByteSpan(*scratch_).first(packet.size()));
    if (isForgery(outcome)) {
      continue;
    }
    if (sa->isOwn) {
      tellOwnSpi(*sa, origin);
      return;
    }
    // Back to where it stays until the batch is written.
    std::ranges::copy(MutableByteSpan(*scratch_).first(packet.size()), packet.begin());
    takeOpened(*sa, *counter, inMemoryOf(packet, outcome), origin);
    return;
  }
  counters_.add(isSeen ? Counter::kDropEspReplay : Counter::kDropEspForged);
}

// The same outcome with a payload that lies in `packet` as it lay in the scratch memory.
OpenOutcome Inbound::inMemoryOf(MutableByteSpan packet, const OpenOutcome& outcome) const {
  const auto* const opened = std::get_if<OpenedPacket>(&outcome);
  if (opened == nullptr) {
    return outcome;
  }
  const auto offset = static_cast<std::size_t>(opened->payload.data() - scratch_->data());
  return OpenedPacket{.nextHeader = opened->nextHeader,
                      .flags = opened->flags,
                      .payload = packet.subspan(offset, opened->payload.size())};
}

// HOT PATH: no allocation, no throw.
void Inbound::takeOpened(ReceiveSa& sa, std::uint64_t counter, const OpenOutcome& outcome,
                         const Origin& origin) {
  CounterBlock& counters = countersOf(*sa.vnet);
  if (const auto* const drop = std::get_if<OpenDrop>(&outcome)) {
    counters.add(counterOf(*drop));
    if (isAuthentic(*drop)) {
      static_cast<void>(sa.window.accept(counter));
    } else {
      sa.forged += *drop == OpenDrop::kIcv ? 1U : 0U;
    }
    return;
  }
  if (sa.window.accept(counter) != ReplayWindow::Verdict::kFresh) {
    ++sa.replayed;
    counters.add(Counter::kDropEspReplay);
    return;
  }
  ++sa.packets;
  sa.lastOpenedMs = nowMs_;
  counters.add(Counter::kOpenedIn);
  const auto& opened = *std::get_if<OpenedPacket>(&outcome);
  if (opened.nextHeader == kNextHeaderEtherip) {
    const SealedFrame sealed{.sa = sa, .isPartial = (opened.flags & kFlagChecksumPartial) != 0};
    // Where it is, the authenticated sender says, not the packet's outside.
    deliver(*sa.vnet, opened.payload, {.host = sa.host, .via = origin.via, .way = origin.way},
            &sealed);
  } else if (opened.nextHeader == kNextHeaderUdp) {
    takeSealedControl(sa, opened, origin);
  } else {
    counters.add(Counter::kDropEspDummy);
  }
}

void Inbound::takeSealedControl(const ReceiveSa& sa, const OpenedPacket& opened,
                                const Origin& origin) {
  CounterBlock& counters = countersOf(*sa.vnet);
  if (!varpLimiter_.admit(sa.host, nowMs_)) {
    counters.add(Counter::kDropControlRate);
    return;
  }
  if (opened.payload.size() > kSealedControlBytesMax) {
    counters.add(Counter::kDropEspMalformed);
    return;
  }
  sealedEvent_.vnet = sa.vnet->settings.id;
  sealedEvent_.spi = sa.spi;
  sealedEvent_.host = sa.host;
  sealedEvent_.via = static_cast<std::uint8_t>(origin.via);
  sealedEvent_.nextHeader = opened.nextHeader;
  sealedEvent_.payload.assign(opened.payload.begin(), opened.payload.end());
  events_.push(sealedEvent_);
}

// Our own packet came from another host. Whether it is one: a stranger can write our SPI too.
void Inbound::handleOwnSpi(ReceiveSa& sa, ByteSpan packet, const Origin& origin) {
  CounterBlock& counters = countersOf(*sa.vnet);
  if (!ownSpiLimiter_.admit(kOwnSpiRate, nowMs_)) {
    counters.add(Counter::kDropEspOwn);
    return;
  }
  if (isForgery(sa.key.open(packet, MutableByteSpan(*scratch_).first(packet.size())))) {
    counters.add(Counter::kDropEspForged);
    return;
  }
  tellOwnSpi(sa, origin);
}

void Inbound::tellOwnSpi(ReceiveSa& sa, const Origin& origin) {
  countersOf(*sa.vnet).add(Counter::kDropEspOwn);
  if (sa.toldMs != 0 && nowMs_ - sa.toldMs < kOwnSpiTellMs) {
    return;
  }
  sa.toldMs = nowMs_;
  events_.push(
      control::OwnSpiHeard{.vnet = sa.vnet->settings.id, .spi = sa.spi, .source = origin.host});
}

// ---- without a key ----------------------------------------------------------------------

// Only what a sender drew can be asked for; our own SPIs of the other kind are known or gone.
void Inbound::handleUnknownSpi(ByteSpan packet, const Origin& origin) {
  const std::uint32_t spi = decodeEspHeader(packet).spi;
  if (!hasSecureVnets_ || spi > kLastGroupSpi) {
    counters_.add(Counter::kDropEspNoKey);
    return;
  }
  tellUnknownSpi(spi, origin.host);
  const bool isHeld = hold_.hold(spi, origin, packet, nowMs_) == HoldQueue::Outcome::kHeld;
  counters_.add(isHeld ? Counter::kHeldIn : Counter::kDropHoldFull);
}

// Once for each SPI and source while its datagrams are held; less often where two share a place.
void Inbound::tellUnknownSpi(std::uint32_t spi, const Endpoint& source) {
  const std::uint64_t hash = hashAddress(messageKey_, source) ^ hashBits(messageKey_, spi);
  UnknownSpiTold& told = unknownSpisTold_[hash % unknownSpisTold_.size()];
  if (told.toldMs != 0 && told.hash == hash && nowMs_ - told.toldMs < HoldQueue::kHoldMs) {
    return;
  }
  if (limitersOf(source).unknownSpi.admit(source, nowMs_)) {
    told = {.hash = hash, .toldMs = nowMs_};
    events_.push(control::UnknownSpi{.spi = spi, .source = source});
  }
}

// ---- changes, by the control thread's calls ---------------------------------------------

bool Inbound::addSa(std::unique_ptr<ReceiveSa> sa) {
  ReceiveSa* const added = sa.get();
  if (!sas_.insert(std::move(sa))) {
    return false;
  }
  lastSa_ = nullptr;
  if (!added->isOwn) {
    noteSender(*added);
    nowMs_ = std::max(nowMs_, monotonicMs());
    hold_.release(added->spi, nowMs_, [&](MutableByteSpan packet, const Origin& origin) {
      const SpiTable<ReceiveSa>::Candidates found = sas_.find(added->spi);
      openWithOneOf(found.all(), packet, origin);
    });
    flushBatch();
    events_.wake();
  }
  return true;
}

std::unique_ptr<ReceiveSa> Inbound::removeSa(const ReceiveSa* sa) {
  lastSa_ = nullptr;
  std::unique_ptr<ReceiveSa> removed = sas_.erase(sa);
  if (removed != nullptr) {
    forgetSender(*removed);
  }
  return removed;
}

void Inbound::moveSa(ReceiveSa& sa, const Endpoint& host) {
  forgetSender(sa);
  sa.host = host;
  noteSender(sa);
}

void Inbound::noteSender(const ReceiveSa& sa) { ++senders_[Endpoint::from(sa.host.ip(), 0)]; }

void Inbound::forgetSender(const ReceiveSa& sa) {
  const auto found = senders_.find(Endpoint::from(sa.host.ip(), 0));
  if (found != senders_.end() && --found->second == 0) {
    senders_.erase(found);
  }
}

template <class Matches>
std::vector<std::unique_ptr<ReceiveSa>> Inbound::removeSasWhere(Matches&& matches) {
  std::vector<const ReceiveSa*> found;
  sas_.forEach([&](const ReceiveSa& sa) {
    if (matches(sa)) {
      found.push_back(&sa);
    }
  });
  std::vector<std::unique_ptr<ReceiveSa>> removed;
  removed.reserve(found.size());
  for (const ReceiveSa* const sa : found) {
    removed.push_back(removeSa(sa));
  }
  return removed;
}

std::vector<std::unique_ptr<ReceiveSa>> Inbound::removeSasOf(const Vnet& vnet) {
  return removeSasWhere([&](const ReceiveSa& sa) { return sa.vnet == &vnet; });
}

std::vector<std::unique_ptr<ReceiveSa>> Inbound::removeOwnSas(const Vnet& vnet,
                                                              std::uint32_t except) {
  return removeSasWhere(
      [&](const ReceiveSa& sa) { return sa.isOwn && sa.vnet == &vnet && sa.spi != except; });
}

void Inbound::forgetFdb(Vnet& vnet) {
  vnet.fdb.clear();
  learnedVnet_ = nullptr;
}

}  // namespace vnetd
