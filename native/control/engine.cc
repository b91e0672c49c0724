#include "control/engine.h"

#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <utility>

#include "host/clock.h"

namespace vnetd {
namespace {

// 224.10.0.1: what a forward to a peer names where no group is set.
constexpr std::uint32_t kUsualGroup = 0xE00A0001;

// RFC 791 §3.1: what every host must take. RFC 8200 §5: what every link must carry.
constexpr std::uint32_t kLeastMtu4 = 576;
constexpr std::uint32_t kLeastMtu6 = 1'280;
constexpr std::size_t kPathsMax = 4'096;

Failure unknownVnet(const VnetId& id) {
  return {.error = ENOENT, .message = "There is no vnet " + id.toText()};
}

Failure refuse(int error, std::string message) {
  return {.error = error, .message = std::move(message)};
}

// A TAP that was deleted under us no longer answers, even before a worker has noticed.
bool isAttached(const FileDescriptor& tap) {
  ifreq request{};
  return tap.valid() && ::ioctl(tap.get(), TUNGETIFF, &request) == 0;
}

std::uint32_t ageMs(std::uint64_t nowMs, std::uint64_t thenMs) {
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(nowMs - std::min(nowMs, thenMs), 0xFFFF'FFFFU));
}

}  // namespace

Engine::Engine(WorkerContext& context, const Opener& opener, std::uint16_t udpPort)
    : context_(context),
      opener_(opener),
      udpPort_(udpPort),
      tableKey_(HashKey::random()),
      outbound_(context),
      inbound_(context),
      sender_(context.sockets, context.offloads),
      reemitter_(context.sockets),
      reclaimer_(context.quiescence),
      view_(std::make_unique<UnderlayView>()) {
  view_->udpPort = udpPort;
  fillGroups(*view_);
}

Engine::~Engine() { stop(); }

Failure Engine::open() {
  for (Failure failure : {context_.outboundMailbox.open(), context_.inboundMailbox.open()}) {
    if (failure.failed()) {
      return failure;
    }
  }
  if (Failure failure = outbound_.open(); failure.failed()) {
    return failure;
  }
  if (Failure failure = inbound_.open(); failure.failed()) {
    return failure;
  }
  const auto body = [this](auto& own, auto& other) {
    started_.wait(false);
    runDuty(own, other);
  };
  outboundThread_ = std::thread([this, body] { body(outbound_, inbound_); });
  inboundThread_ = std::thread([this, body] { body(inbound_, outbound_); });
  return noFailure();
}

void Engine::start() {
  started_.store(true);
  started_.notify_all();
  running_ = true;
  outbound_.mailbox().call([this] { outbound_.setUnderlay(view_.get()); });
  inbound_.mailbox().call([this] { inbound_.setUnderlay(view_.get()); });
}

void Engine::stop() {
  if (!outboundThread_.joinable()) {
    return;
  }
  if (!running_) {
    start();
  }
  outbound_.mailbox().call([this] { outbound_.stop(); });
  inbound_.mailbox().call([this] { inbound_.stop(); });
  outboundThread_.join();
  inboundThread_.join();
  running_ = false;
}

void Engine::countLostEvents(std::uint64_t count) {
  context_.processCounters.of(CounterThread::kControl).add(Counter::kEventsDropped, count);
}

// ---- underlay and peers -----------------------------------------------------------------

// Where a flood goes: the groups of the families that have a socket and an address of ours.
void Engine::fillGroups(UnderlayView& view) const {
  const MulticastMembership& membership = view.membership;
  view.group4 = {};
  view.group6 = {};
  if (membership.enabled && context_.sockets.udp4.valid() && !view.sender.source4.isNone() &&
      !membership.group4.isNone()) {
    view.group4 = Endpoint::from(membership.group4, udpPort_);
  }
  if (membership.enabled && context_.sockets.udp6.valid() && !view.sender.source6.isNone() &&
      !membership.group6.isNone()) {
    view.group6 = Endpoint::from(membership.group6, udpPort_);
  }
  if (!membership.group4.isNone()) {
    view.forwardGroup = Endpoint::from(membership.group4, udpPort_);
  } else if (!membership.group6.isNone()) {
    view.forwardGroup = Endpoint::from(membership.group6, udpPort_);
  } else {
    view.forwardGroup = Endpoint::from(IpAddress::fromIpv4(kUsualGroup), udpPort_);
  }
}

std::unique_ptr<UnderlayView> Engine::copyView() const {
  auto next = std::make_unique<UnderlayView>(*view_);
  next->peers.clear();
  for (const OwnedPeer& owned : peers_) {
    next->peers.push_back(owned.peer);
  }
  return next;
}

// When it returns no worker holds the former view any more, and it is freed.
void Engine::exchangeView(std::unique_ptr<UnderlayView> next) {
  outbound_.mailbox().call([&] { outbound_.setUnderlay(next.get()); });
  inbound_.mailbox().call([&] { inbound_.setUnderlay(next.get()); });
  sender_.setUnderlay(next->sender);
  view_ = std::move(next);
}

Failure Engine::apply(const control::SetUnderlay& command) {
  if (command.mtuBytes < 576 && command.deviceIndex != 0) {
    return refuse(
        EINVAL, "The underlay's MTU must be at least 576, not " + std::to_string(command.mtuBytes));
  }
  if (!command.localPrefixLengths.empty() &&
      command.localPrefixLengths.size() != command.localAddresses.size()) {
    return refuse(EINVAL, "There must be a prefix length for each local address, or none");
  }
  std::unique_ptr<UnderlayView> next = copyView();
  next->sender = {.source4 = command.sourceAddress4,
                  .source6 = command.sourceAddress6,
                  .deviceIndex = command.deviceIndex,
                  .mtuBytes = command.mtuBytes,
                  .udpPort = udpPort_,
                  .paths = std::move(next->sender.paths)};
  next->membership = {.deviceIndex = command.deviceIndex,
                      .group4 = command.group4,
                      .group6 = command.group6,
                      .source4 = command.sourceAddress4,
                      .ttl = command.multicastTtl,
                      .enabled = command.multicast};
  next->localAddresses = command.localAddresses;
  next->localPrefixLengths = command.localPrefixLengths;
  next->guestSideDevices = command.guestSideDevices;
  fillGroups(*next);
  Failure failure = changeMembership(context_.sockets, view_->membership, next->membership);
  exchangeView(std::move(next));
  underlay_ = command;
  return failure;
}

Failure Engine::apply(const control::SetPeer& command) {
  const IpAddress address = command.host.ip();
  if (!address.isHost() || command.host.udpPort == 0) {
    return refuse(EINVAL, "A peer needs a host's address and a port, not " + command.host.toText());
  }
  if (view_->isLocal(address)) {
    return refuse(EINVAL, "The peer " + command.host.toText() + " is this host itself");
  }
  const auto known = std::ranges::find_if(
      peers_, [&](const OwnedPeer& owned) { return owned.peer.host.ip() == address; });
  if (known != peers_.end()) {
    known->peer.host = command.host;
  } else {
    std::uint16_t index = 0;
    while (std::ranges::any_of(peers_,
                               [&](const OwnedPeer& owned) { return owned.peer.index == index; })) {
      ++index;
    }
    auto counters = std::make_unique<PeerCounters>();
    const Peer peer{.host = command.host, .index = index, .counters = counters.get()};
    peers_.push_back({.peer = peer, .counters = std::move(counters)});
  }
  exchangeView(copyView());
  return noFailure();
}

Failure Engine::apply(const control::DeletePeer& command) {
  const auto known = std::ranges::find_if(
      peers_, [&](const OwnedPeer& owned) { return owned.peer.host.ip() == command.host.ip(); });
  if (known == peers_.end()) {
    return refuse(ENOENT, "There is no peer " + command.host.toText());
  }
  // Its counters must live until no worker has the peer any more.
  const OwnedPeer gone = std::move(*known);
  peers_.erase(known);
  exchangeView(copyView());
  return noFailure();
}

Failure Engine::apply(const control::SetAges& command) {
  ages_ = {.fdbTtlMs = command.fdbTtlMs,
           .vifTtlMs = command.vifTtlMs,
           .refreshAfterMs = command.refreshAfterMs};
  outbound_.mailbox().call([&] { outbound_.setAges(ages_); });
  inbound_.mailbox().call([&] { inbound_.setAges(ages_); });
  return noFailure();
}

// ---- vnets ------------------------------------------------------------------------------

Vnet* Engine::findVnet(const VnetId& id) const {
  const auto found = vnets_.find(id);
  return found == vnets_.end() ? nullptr : found->second.get();
}

Failure Engine::attachTapOf(const std::string& name, FileDescriptor& tap) {
  FileDescriptor device;
  if (Failure failure = opener_.openTunDevice(device); failure.failed()) {
    return failure;
  }
  const TapOffloads wanted{.checksumAndTcp = context_.offloads.tap.load(),
                           .udp = context_.offloads.tapUdp.load()};
  TapOffloads got;
  if (Failure failure = attachTap(device, name, wanted, got); failure.failed()) {
    return failure;
  }
  if (wanted.udp && !got.udp) {
    context_.offloads.tapUdp.store(false);
  }
  if (wanted.checksumAndTcp && !got.checksumAndTcp) {
    context_.offloads.tap.store(false);
  }
  tap = std::move(device);
  return noFailure();
}

void Engine::handToWorkers(Vnet& vnet) {
  inbound_.mailbox().call([&] { inbound_.attach(vnet); });
  outbound_.mailbox().call([&] { outbound_.attach(vnet); });
}

Failure Engine::apply(const control::SetVnet& command) {
  // Sealed frames have no other form than ESP in UDP.
  const std::uint8_t encapsulationMax = command.security == 0 ? 1 : 0;
  if (command.vnet.isZero() || command.encapsulation > encapsulationMax || command.mtuBytes == 0 ||
      command.mtuBytes > 65'535 || command.security > 2) {
    return refuse(EINVAL, "The vnet " + command.vnet.toText() +
                              " has a wrong id, encapsulation, MTU or security");
  }
  const VnetSettings settings{.id = command.vnet,
                              .deviceName = command.deviceName,
                              .encapsulation = static_cast<Encapsulation>(command.encapsulation),
                              .mtuBytes = command.mtuBytes,
                              .fdbLimit = command.fdbLimit,
                              .vifLimit = command.vifLimit,
                              .security = static_cast<Security>(command.security)};
  Vnet* vnet = findVnet(command.vnet);
  const bool keepsTap =
      vnet != nullptr && vnet->settings.deviceName == command.deviceName && isAttached(vnet->tap);
  FileDescriptor tap;
  if (!keepsTap) {
    const std::string name(command.deviceName.view());
    if (Failure failure = attachTapOf(name, tap); failure.failed()) {
      return failure;
    }
  }
  if (vnet == nullptr) {
    vnet = vnets_.emplace(command.vnet, std::make_unique<Vnet>(settings, tableKey_))
               .first->second.get();
  }
  if (vnet->settings.security != settings.security) {
    forgetSecurity(*vnet);
  }
  if (!keepsTap) {
    outbound_.mailbox().call([&] { outbound_.detach(*vnet); });
    inbound_.mailbox().call([&] { Inbound::detach(*vnet); });
    vnet->tap = std::move(tap);
    vnet->tapError.store(0);
  }
  vnet->settings = settings;
  handToWorkers(*vnet);
  inbound_.mailbox().call([&] { vnet->fdb.setLimit(settings.fdbLimit); });
  outbound_.mailbox().call([&] { vnet->vifs.setLimit(settings.vifLimit); });
  return noFailure();
}

// When it returns neither worker holds a pointer to the vnet.
void Engine::letGo(Vnet& vnet) {
  outbound_.mailbox().call([&] { outbound_.remove(vnet); });
  inbound_.mailbox().call([&] { inbound_.remove(vnet); });
  // What the inbound thread handed over between the two calls.
  outbound_.mailbox().call([&] { outbound_.remove(vnet); });
}

Failure Engine::apply(const control::DeleteVnet& command) {
  Vnet* const vnet = findVnet(command.vnet);
  if (vnet == nullptr) {
    return unknownVnet(command.vnet);
  }
  forgetSecurity(*vnet);
  endCapture(*vnet);
  letGo(*vnet);
  for (std::size_t index = 0; index < kCounterCount; ++index) {
    goneCounters_.at(index) += vnet->counters.sum(static_cast<Counter>(index));
  }
  vnets_.erase(command.vnet);
  return noFailure();
}

void Engine::loseTap(Vnet& vnet, const MessageSink& event) {
  const int error = vnet.tapError.exchange(0);
  if (error == 0 || !vnet.tap.valid()) {
    return;
  }
  outbound_.mailbox().call([&] { outbound_.detach(vnet); });
  inbound_.mailbox().call([&] { Inbound::detach(vnet); });
  vnet.tap.reset();
  event(control::TapLost{.vnet = vnet.settings.id,
                         .deviceName = vnet.settings.deviceName,
                         .error = static_cast<std::uint32_t>(error)});
}

void Engine::grow(Vnet& vnet) {
  if (vnet.fdbWantsGrowth.exchange(false)) {
    vnet.fdb.maintain(reclaimer_);
    inbound_.mailbox().call([&] { vnet.fdb.adoptGrowth(); });
    vnet.fdb.maintain(reclaimer_);
  }
  if (vnet.vifsWantGrowth.exchange(false)) {
    vnet.vifs.maintain(reclaimer_);
    outbound_.mailbox().call([&] { vnet.vifs.adoptGrowth(); });
    vnet.vifs.maintain(reclaimer_);
  }
}

void Engine::care(const MessageSink& event) {
  if (!context_.vnetsNeedCare.exchange(false, std::memory_order_acquire)) {
    return;
  }
  for (const auto& [id, vnet] : vnets_) {
    loseTap(*vnet, event);
    grow(*vnet);
  }
}

bool Engine::tick() {
  reclaimer_.reclaim();
  if (!context_.quiescence.hasPassed(liveEpoch_)) {
    return false;
  }
  liveEpoch_ = context_.quiescence.advance();
  return true;
}

// ---- MAC tables -------------------------------------------------------------------------

Failure Engine::apply(const control::SetFdb& command) {
  Vnet* const vnet = findVnet(command.vnet);
  if (vnet == nullptr) {
    return unknownVnet(command.vnet);
  }
  if (!command.mac.isStation() || !command.host.ip().isHost()) {
    return refuse(EINVAL, "Not a station's MAC on a host: " + command.mac.toText() + " on " +
                              command.host.toText());
  }
  LearnResult<Endpoint> result;
  inbound_.mailbox().call(
      [&] { result = vnet->fdb.set(command.mac, command.host, command.pinned, monotonicMs()); });
  if (result.growthWanted) {
    vnet->fdbWantsGrowth.store(true);
    grow(*vnet);
  }
  if (result.outcome == LearnOutcome::kRefused) {
    return refuse(ENOSPC, "The vnet's table is full of pinned entries");
  }
  return noFailure();
}

Failure Engine::apply(const control::DeleteFdb& command) {
  Vnet* const vnet = findVnet(command.vnet);
  if (vnet == nullptr) {
    return unknownVnet(command.vnet);
  }
  inbound_.mailbox().call([&] { vnet->fdb.erase(command.mac); });
  return noFailure();
}

Failure Engine::apply(const control::FlushFdb& command) {
  if (!command.vnet.isZero() && findVnet(command.vnet) == nullptr) {
    return unknownVnet(command.vnet);
  }
  for (const auto& [id, vnet] : vnets_) {
    if (command.vnet.isZero() || command.vnet == id) {
      inbound_.mailbox().call([&fdb = vnet->fdb] { fdb.clear(); });
    }
  }
  return noFailure();
}

Failure Engine::apply(const control::PinVif& command) {
  Vnet* const vnet = findVnet(command.vnet);
  if (vnet == nullptr) {
    return unknownVnet(command.vnet);
  }
  if (!command.mac.isStation()) {
    return refuse(EINVAL, "Not a station's MAC: " + command.mac.toText());
  }
  LearnResult<NoValue> result;
  outbound_.mailbox().call(
      [&] { result = vnet->vifs.set(command.mac, NoValue{}, true, monotonicMs()); });
  if (result.growthWanted) {
    vnet->vifsWantGrowth.store(true);
    grow(*vnet);
  }
  if (result.outcome == LearnOutcome::kRefused) {
    return refuse(ENOSPC, "The vnet's table is full of pinned vifs");
  }
  // What was learned elsewhere is not there any more; what is pinned there is vnetd's affair.
  inbound_.mailbox().call([&] {
    if (const auto remote = vnet->fdb.find(command.mac); remote && !remote->pinned) {
      vnet->fdb.erase(command.mac);
    }
  });
  return noFailure();
}

Failure Engine::apply(const control::DeleteVif& command) {
  Vnet* const vnet = findVnet(command.vnet);
  if (vnet == nullptr) {
    return unknownVnet(command.vnet);
  }
  outbound_.mailbox().call([&] { vnet->vifs.erase(command.mac); });
  return noFailure();
}

// ---- control datagrams ------------------------------------------------------------------

Failure Engine::apply(const control::SendTo& command) {
  CounterBlock& counters = context_.processCounters.of(CounterThread::kControl);
  sender_.add({.destination = command.host,
               .first = command.datagram,
               .second = {},
               .counters = &counters,
               .encapsulation = Encapsulation::kUdp});
  sender_.flush();
  return noFailure();
}

Failure Engine::apply(const control::SendFlood& command) {
  if (!view_->hasAddress()) {
    return refuse(ENETUNREACH, "There is no underlay address to send from");
  }
  // Room in front, for the header of forwards to peers.
  std::vector<std::byte> octets(kForwardHeaderBytesMax + command.datagram.size());
  std::ranges::copy(command.datagram, octets.begin() + kForwardHeaderBytesMax);
  const TunnelMessage message{.first = MutableByteSpan(octets).subspan(kForwardHeaderBytesMax),
                              .second = {}};
  flood(sender_, *view_,
        {.messages = std::span(&message, 1),
         .counters = &context_.processCounters.of(CounterThread::kControl),
         .encapsulation = Encapsulation::kUdp});
  sender_.flush();
  return noFailure();
}

Failure Engine::apply(const control::SendProbe& command) {
  if (!command.host.ip().isHost() || command.host.udpPort == 0) {
    return refuse(EINVAL, "A probe needs its host's address and port");
  }
  const int error = reemitter_.sendWhole(*view_, command.host, command.datagram);
  return error == 0 ? noFailure() : failureOf("Cannot send the probe", error);
}

Failure Engine::apply(const control::SetPathMtu& command) {
  const std::uint32_t leastMtu = command.host.family == kFamilyIpv6 ? kLeastMtu6 : kLeastMtu4;
  if (!command.host.isHost() || (command.mtuBytes != 0 && command.mtuBytes < leastMtu)) {
    return refuse(EINVAL, "Not the MTU of a path: " + std::to_string(command.mtuBytes) + " to " +
                              command.host.toText());
  }
  std::unique_ptr<UnderlayView> next = copyView();
  std::vector<PathMtu>& paths = next->sender.paths;
  const auto found = std::ranges::lower_bound(paths, command.host, {}, &PathMtu::host);
  const bool isKnown = found != paths.end() && found->host == command.host;
  if (command.mtuBytes == 0 || command.mtuBytes >= next->sender.mtuBytes) {
    if (!isKnown) {
      return noFailure();
    }
    paths.erase(found);
  } else if (isKnown) {
    found->mtuBytes = command.mtuBytes;
  } else if (paths.size() < kPathsMax) {
    paths.insert(found, {.host = command.host, .mtuBytes = command.mtuBytes});
  } else {
    return refuse(ENOSPC, "The MTUs of too many paths are known");
  }
  exchangeView(std::move(next));
  return noFailure();
}

// ---- captures ---------------------------------------------------------------------------

void Engine::orderCapture(Vnet& vnet, std::uint32_t snapBytes) {
  outbound_.mailbox().call([&] { vnet.captureOut = {.snapBytes = snapBytes}; });
  inbound_.mailbox().call([&] { vnet.captureIn = {.snapBytes = snapBytes}; });
}

Failure Engine::apply(const control::StartCapture& command) {
  Vnet* const vnet = findVnet(command.vnet);
  if (vnet == nullptr) {
    return unknownVnet(command.vnet);
  }
  if (command.snapBytes == 0) {
    return refuse(EINVAL, "A capture keeps at least one octet of each frame");
  }
  const bool isFirst = vnet->captureOut.snapBytes == 0;
  if (isFirst && captureCount_++ == 0) {
    outbound_.capturer().allocate();
    inbound_.capturer().allocate();
  }
  orderCapture(*vnet, command.snapBytes);
  return noFailure();
}

// Only this thread sets an order, so it may look at one.
void Engine::endCapture(Vnet& vnet) {
  if (vnet.captureOut.snapBytes == 0) {
    return;
  }
  orderCapture(vnet, 0);
  if (--captureCount_ == 0) {
    outbound_.capturer().release();
    inbound_.capturer().release();
  }
}

Failure Engine::apply(const control::StopCapture& command) {
  Vnet* const vnet = findVnet(command.vnet);
  if (vnet == nullptr) {
    return unknownVnet(command.vnet);
  }
  endCapture(*vnet);
  return noFailure();
}

void Engine::stopCaptures() {
  if (captureCount_ == 0) {
    return;
  }
  for (const auto& [id, vnet] : vnets_) {
    endCapture(*vnet);
  }
}

// ---- listings ---------------------------------------------------------------------------

Failure Engine::list(const control::GetState& /*command*/, const MessageSink& answer) const {
  answer(control::UnderlayState{.deviceIndex = underlay_.deviceIndex,
                                .mtuBytes = underlay_.mtuBytes,
                                .sourceAddress4 = underlay_.sourceAddress4,
                                .sourceAddress6 = underlay_.sourceAddress6,
                                .group4 = underlay_.group4,
                                .group6 = underlay_.group6,
                                .multicastTtl = underlay_.multicastTtl,
                                .multicast = underlay_.multicast,
                                .localAddresses = underlay_.localAddresses,
                                .guestSideDevices = underlay_.guestSideDevices,
                                .localPrefixLengths = underlay_.localPrefixLengths});
  answer(control::AgesState{.fdbTtlMs = ages_.fdbTtlMs,
                            .vifTtlMs = ages_.vifTtlMs,
                            .refreshAfterMs = ages_.refreshAfterMs});
  for (const auto& [id, vnet] : vnets_) {
    answer(
        control::VnetState{.vnet = id,
                           .deviceName = vnet->settings.deviceName,
                           .encapsulation = static_cast<std::uint8_t>(vnet->settings.encapsulation),
                           .mtuBytes = vnet->settings.mtuBytes,
                           .fdbLimit = vnet->settings.fdbLimit,
                           .vifLimit = vnet->settings.vifLimit,
                           .attached = isAttached(vnet->tap),
                           .fdbCount = static_cast<std::uint32_t>(vnet->fdb.size()),
                           .vifCount = static_cast<std::uint32_t>(vnet->vifs.size()),
                           .security = static_cast<std::uint8_t>(vnet->settings.security)});
  }
  for (const OwnedPeer& owned : peers_) {
    answer(control::PeerState{.host = owned.peer.host,
                              .forwardedOut = owned.counters->forwardedOut.load(),
                              .forwardedIn = owned.counters->forwardedIn.load()});
  }
  return noFailure();
}

Failure Engine::list(const control::ListPathMtus& /*command*/, const MessageSink& answer) const {
  for (const PathMtu& path : view_->sender.paths) {
    answer(control::PathMtuState{.host = path.host, .mtuBytes = path.mtuBytes});
  }
  return noFailure();
}

Failure Engine::list(const control::ListFdb& command, const MessageSink& answer) const {
  if (!command.vnet.isZero() && findVnet(command.vnet) == nullptr) {
    return unknownVnet(command.vnet);
  }
  const std::uint64_t nowMs = monotonicMs();
  for (const auto& [id, vnet] : vnets_) {
    if (!command.vnet.isZero() && command.vnet != id) {
      continue;
    }
    vnet->fdb.forEach([&, &settings = vnet->settings](const MacEntry<Endpoint>& entry) {
      answer(control::FdbEntry{.vnet = settings.id,
                               .mac = entry.mac,
                               .host = entry.value,
                               .ageMs = ageMs(nowMs, entry.lastHeardMs),
                               .pinned = entry.pinned});
    });
  }
  return noFailure();
}

Failure Engine::list(const control::ListVifs& command, const MessageSink& answer) const {
  if (!command.vnet.isZero() && findVnet(command.vnet) == nullptr) {
    return unknownVnet(command.vnet);
  }
  const std::uint64_t nowMs = monotonicMs();
  for (const auto& [id, vnet] : vnets_) {
    if (!command.vnet.isZero() && command.vnet != id) {
      continue;
    }
    vnet->vifs.forEach([&, &settings = vnet->settings](const MacEntry<NoValue>& entry) {
      answer(control::VifEntry{.vnet = settings.id,
                               .mac = entry.mac,
                               .ageMs = ageMs(nowMs, entry.lastHeardMs),
                               .pinned = entry.pinned});
    });
  }
  return noFailure();
}

// The process's counters are sums: of what belongs to no vnet, of every vnet, and of those gone.
Failure Engine::list(const control::GetCounters& command, const MessageSink& answer) const {
  const auto valuesOf = [](const CounterSet& counters) {
    std::vector<std::uint64_t> values;
    values.reserve(kCounterCount);
    for (std::size_t index = 0; index < kCounterCount; ++index) {
      values.push_back(counters.sum(static_cast<Counter>(index)));
    }
    return values;
  };
  if (!command.vnet.isZero()) {
    const Vnet* const vnet = findVnet(command.vnet);
    if (vnet == nullptr) {
      return unknownVnet(command.vnet);
    }
    answer(control::Counters{.vnet = command.vnet, .values = valuesOf(vnet->counters)});
    return noFailure();
  }
  std::vector<std::uint64_t> total = valuesOf(context_.processCounters);
  std::vector<control::Counters> each;
  each.reserve(vnets_.size());
  for (const auto& [id, vnet] : vnets_) {
    each.push_back({.vnet = id, .values = valuesOf(vnet->counters)});
    for (std::size_t index = 0; index < kCounterCount; ++index) {
      total[index] += each.back().values[index];
    }
  }
  for (std::size_t index = 0; index < kCounterCount; ++index) {
    total[index] += goneCounters_.at(index);
  }
  answer(control::Counters{.vnet = {}, .values = std::move(total)});
  for (const control::Counters& one : each) {
    answer(one);
  }
  return noFailure();
}

}  // namespace vnetd
